// The photo before and after, with a border between them that can be moved, and its faces, to look at closely or to
// leave out.

import { add, changeOf, unpackLayer } from "./blend.js";

const $ = (id) => document.getElementById(id);
const CLICK = 5; // pixels: who moves less has clicked
const HOLD = 350; // milliseconds: who presses longer wants to see the original
const CLOSEST = 8; // times that the picture is enlarged at most
const AROUND = 1.8; // of a face's box is seen when it is looked at closely

let photo = null;
let image = null; // what is drawn as "after"
let left = new Set(); // numbers of faces that are left out
let changes = {}; // {layer: the change of the faces that are not}
let shown = {}; // {layer: share}
let told = () => {}; // what show was given
let view = { scale: 1, x: 0, y: 0 }; // x, y: what is at the upper left, as shares of the photo
let close = null; // the number of the face that is looked at closely
let border = 50; // percent of the photo's width

// Show a photo that blend.unpack returned. changed: called when something other than the slider changed.
export function show(unpacked, changed) {
  photo = unpacked;
  left = new Set(photo.faces.flatMap(({ aligned }, i) => aligned ? [] : [i]));
  changes = {};
  told = changed;
  const [width, height] = photo.size;
  image = new ImageData(new Uint8ClampedArray(photo.pixels), width, height);
  for (const id of ["before", "after"]) {
    Object.assign($(id), { width, height });
    $(id).getContext("2d").putImageData(image, 0, 0);
  }
  $("picture").style.setProperty("--width", width);
  $("picture").style.setProperty("--height", height);
  $("faces").replaceChildren(...photo.faces.map(button));
  look(null);
  moveBorder(middle(photo.faces[0])); // the largest
}

// The numbers of the faces that are changed.
export function kept() {
  return photo.faces.map((_, i) => i).filter((i) => !left.has(i));
}

// The number of the face that is looked at closely, or null; and whether it is left out.
export function closeUp() {
  return { face: close, out: left.has(close) };
}

// One more layer has come from the server.
export function take(layer, buffer) {
  unpackLayer(photo, layer, buffer);
}

export function has(layer) {
  return layer in photo.faces[0].deltas;
}

// Draw {layer: share}, one or two layers; none is the photo as it is.
export function draw(layers) {
  shown = layers;
  const parts = Object.entries(layers).map(([layer, share]) => {
    if (!(layer in changes)) changes[layer] = changeOf(photo, kept().map((i) => photo.faces[i]), layer);
    return [changes[layer], share];
  });
  const pen = $("after").getContext("2d");
  const part = parts[0]?.[0];
  if (part) {
    add(photo, parts, image); // all else is as in the photo
    pen.putImageData(image, 0, 0, part.left, part.top, part.width, part.height);
  } else {
    image.data.set(photo.pixels);
    pen.putImageData(image, 0, 0);
  }
}

function button(face, i) {
  const made = document.createElement("button");
  const [width, height] = photo.size;
  const [x0, y0, x1, y1] = face.box;
  made.type = "button";
  const box = { left: x0 / width, top: y0 / height, wide: (x1 - x0) / width, high: (y1 - y0) / height };
  for (const [name, share] of Object.entries(box)) made.style.setProperty(`--${name}`, share);
  made.addEventListener("click", () => look(close === i ? null : i));
  mark(made, face, i);
  return made;
}

function mark(made, face, i) {
  const words = !left.has(i) ? "" : face.aligned ? "left out" : "turned away, left out";
  made.dataset.words = words;
  made.setAttribute("aria-label", `Look at face ${i + 1} closely${words && `: ${words}`}`);
}

// Leave the face that is looked at out, or take it in again.
export function leaveOut() {
  if (!left.delete(close)) left.add(close);
  changes = {};
  mark($("faces").children[close], photo.faces[close], close);
  const now = shown;
  draw({});
  draw(now);
  told();
}

// Look at a face closely, by its number; null: at the whole photo.
export function look(number) {
  close = number;
  if (number === null) {
    setView(1, 0, 0);
  } else {
    const [x0, y0, x1, y1] = photo.faces[number].box;
    const [width, height] = photo.size;
    const scale = Math.max(1.5, 1 / (AROUND * Math.max((x1 - x0) / width, (y1 - y0) / height)));
    setView(scale, (x0 + x1) / 2 / width, (y0 + y1) / 2 / height, 0.5, 0.5);
    moveBorder(middle(photo.faces[number]));
  }
  told();
}

// Look at the next face (step 1) or the one before (-1).
export function walk(step) {
  const count = photo.faces.length;
  look(close === null ? (step > 0 ? 0 : count - 1) : (close + step + count) % count);
}

function middle({ box }) {
  return 50 * (box[0] + box[2]) / photo.size[0];
}

// Show the photo's point (x, y) at the place (u, v) of the picture; all are shares.
function setView(scale, x, y, u = 0, v = 0) {
  scale = Math.min(CLOSEST, Math.max(1, scale));
  const within = (start) => Math.min(1 - 1 / scale, Math.max(0, start));
  view = { scale, x: within(x - u / scale), y: within(y - v / scale) };
  const style = $("picture").style;
  for (const [name, value] of Object.entries(view)) style.setProperty(`--${name}`, value);
  placeLine();
}

function moveBorder(percent) {
  border = Math.min(100, Math.max(0, percent));
  $("picture").style.setProperty("--border", `${border}%`);
  $("divider").setAttribute("aria-valuenow", String(Math.round(border)));
  placeLine();
}

function placeLine() {
  $("picture").style.setProperty("--line", `${(border - 100 * view.x) * view.scale}%`);
}

export function original(on) {
  $("picture").classList.toggle("original", on);
}

const KEYS = { ArrowLeft: -2, ArrowDown: -2, ArrowRight: 2, ArrowUp: 2, PageDown: -10, PageUp: 10, Home: -100,
  End: 100 };
$("divider").addEventListener("keydown", (event) => {
  if (!(event.key in KEYS)) return;
  event.preventDefault();
  moveBorder(border + KEYS[event.key] / (Math.abs(KEYS[event.key]) < 100 ? view.scale : 1));
});

// One pointer moves the border, or shows the original if it is held; two pinch. A click on a face stays one.
const pointers = new Map(); // {id: event}
let pressed = null; // {x, y, moved}
let pinch = null; // how it began: {apart, scale, x, y: the point of the photo between the two}
let holding = 0;

// Where an event is, as shares of the picture.
function place({ clientX, clientY }) {
  const box = $("picture").getBoundingClientRect();
  return { u: (clientX - box.left) / box.width, v: (clientY - box.top) / box.height };
}

function between() {
  const [one, other] = [...pointers.values()].map(place);
  return { u: (one.u + other.u) / 2, v: (one.v + other.v) / 2, apart: Math.hypot(one.u - other.u, one.v - other.v) };
}

function pointAt({ u, v }) {
  return { x: view.x + u / view.scale, y: view.y + v / view.scale };
}

$("picture").addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  pointers.set(event.pointerId, event);
  clearTimeout(holding);
  if (pointers.size === 2) {
    original(false);
    const { u, v, apart } = between();
    pinch = { apart, scale: view.scale, ...pointAt({ u, v }) };
  } else {
    const grip = event.target.closest("#divider") !== null;
    pressed = { x: event.clientX, moved: grip };
    if (!grip) {
      holding = setTimeout(() => {
        pressed.moved = pressed.held = true;
        original(true);
      }, HOLD);
    }
  }
});
addEventListener("pointermove", (event) => {
  if (!pointers.has(event.pointerId)) return;
  pointers.set(event.pointerId, event);
  if (pinch && pointers.size === 2) {
    const { u, v, apart } = between();
    pressed.moved = true;
    setView(pinch.scale * apart / pinch.apart, pinch.x, pinch.y, u, v);
    return;
  }
  if (pressed.held || pinch) return;
  if (Math.abs(event.clientX - pressed.x) > CLICK) pressed.moved = true;
  if (!pressed.moved) return;
  clearTimeout(holding);
  $("picture").classList.add("comparing");
  moveBorder(100 * pointAt(place(event)).x);
});
for (const end of ["pointerup", "pointercancel"]) {
  addEventListener(end, (event) => {
    if (!pointers.delete(event.pointerId) || pointers.size) return;
    clearTimeout(holding);
    original(false);
    $("picture").classList.remove("comparing");
    if (pinch) zoomed();
    pinch = null;
    if (!pressed.moved) return;
    const swallow = (event) => event.stopPropagation();
    $("picture").addEventListener("click", swallow, { capture: true, once: true });
    setTimeout(() => $("picture").removeEventListener("click", swallow, { capture: true }));
  });
}
$("picture").addEventListener("wheel", (event) => {
  if (!event.ctrlKey) return; // that is how browsers tell of a pinch on a trackpad
  event.preventDefault();
  const at = place(event);
  setView(view.scale * Math.exp(-event.deltaY / 100), ...Object.values(pointAt(at)), at.u, at.v);
  zoomed();
}, { passive: false });
$("picture").addEventListener("dragstart", (event) => event.preventDefault());

// The visitor has enlarged the photo himself: the face that is nearest to the middle is the one that is looked at.
function zoomed() {
  const { x, y } = pointAt({ u: 0.5, v: 0.5 });
  const [width, height] = photo.size;
  const far = ({ box }) => Math.hypot((box[0] + box[2]) / 2 - x * width, (box[1] + box[3]) / 2 - y * height);
  const fars = photo.faces.map(far);
  close = view.scale > 1.05 ? fars.indexOf(Math.min(...fars)) : null;
  told();
}
