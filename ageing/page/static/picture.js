// The photo before and after, with a border between them that can be moved, and its faces, which can be left out.

import { add, changeOf } from "./blend.js";

const $ = (id) => document.getElementById(id);
const CLICK = 5; // pixels: who moves less has clicked

let photo = null;
let image = null; // what is drawn as "after"
let left = new Set(); // numbers of faces that are left out
let changes = {}; // {direction: the change of the faces that are not}
let shown = { direction: null, strength: 0 };

// Show a photo that blend.unpack returned. changed: called when a face was left out or put back.
export function show(unpacked, changed) {
  photo = unpacked;
  left = new Set();
  changes = {};
  const [width, height] = photo.size;
  image = new ImageData(new Uint8ClampedArray(photo.pixels), width, height);
  for (const id of ["before", "after"]) {
    Object.assign($(id), { width, height });
    $(id).getContext("2d").putImageData(image, 0, 0);
  }
  $("picture").style.setProperty("--width", width);
  $("picture").style.setProperty("--height", height);
  $("faces").replaceChildren(...photo.faces.map((face, i) => button(face, i, changed)));
  moveBorder(50);
}

// The numbers of the faces that are changed.
export function kept() {
  return photo.faces.map((_, i) => i).filter((i) => !left.has(i));
}

// Draw the change of `direction` (null: none) at `strength`.
export function draw(direction, strength) {
  shown = { direction, strength };
  const pen = $("after").getContext("2d");
  if (direction && !(direction in changes)) {
    changes[direction] = changeOf(photo, kept().map((i) => photo.faces[i]), direction);
  }
  const change = direction && changes[direction];
  image.data.set(photo.pixels);
  if (change) add(photo, change, strength, image);
  pen.putImageData(image, 0, 0);
}

function button(face, i, changed) {
  const made = document.createElement("button");
  const [width, height] = photo.size;
  const [x0, y0, x1, y1] = face.box;
  made.type = "button";
  made.style.left = `${100 * x0 / width}%`;
  made.style.top = `${100 * y0 / height}%`;
  made.style.width = `${100 * (x1 - x0) / width}%`;
  made.style.height = `${100 * (y1 - y0) / height}%`;
  const tell = () => {
    made.setAttribute("aria-pressed", String(left.has(i)));
    made.setAttribute("aria-label", `Leave face ${i + 1} out`);
    made.title = left.has(i) ? "Left out. Click to change it" : "Click to leave this face out";
  };
  made.addEventListener("click", () => {
    if (!left.delete(i)) left.add(i);
    changes = {};
    tell();
    draw(shown.direction, shown.strength);
    changed();
  });
  tell();
  return made;
}

function moveBorder(percent) {
  const place = Math.min(100, Math.max(0, percent));
  $("picture").style.setProperty("--border", `${place}%`);
  $("divider").setAttribute("aria-valuenow", String(Math.round(place)));
}

const KEYS = { ArrowLeft: -2, ArrowDown: -2, ArrowRight: 2, ArrowUp: 2, PageDown: -10, PageUp: 10, Home: -100, End: 100 };
$("divider").addEventListener("keydown", (event) => {
  if (!(event.key in KEYS)) return;
  event.preventDefault();
  moveBorder(Number($("divider").getAttribute("aria-valuenow")) + KEYS[event.key]);
});

// The border follows a pointer that is pressed anywhere in the picture; a click on a face stays one.
let pressed = null;
$("picture").addEventListener("pointerdown", (event) => {
  if (event.button === 0) pressed = { x: event.clientX, dragged: event.target.closest("#divider") !== null };
});
addEventListener("pointermove", (event) => {
  if (!pressed) return;
  if (Math.abs(event.clientX - pressed.x) > CLICK) pressed.dragged = true;
  if (!pressed.dragged) return;
  const { left: begin, width } = $("picture").getBoundingClientRect();
  moveBorder(100 * (event.clientX - begin) / width);
});
for (const end of ["pointerup", "pointercancel"]) {
  addEventListener(end, () => {
    const dragged = pressed?.dragged;
    pressed = null;
    if (!dragged) return;
    const swallow = (event) => event.stopPropagation();
    $("picture").addEventListener("click", swallow, { capture: true, once: true });
    setTimeout(() => $("picture").removeEventListener("click", swallow, { capture: true }));
  });
}
$("picture").addEventListener("dragstart", (event) => event.preventDefault());
