// The page: takes a photo, shows it, lets it be downloaded. All errors are sentences in #message.

import { unpack } from "./blend.js";
import * as camera from "./camera.js";
import * as picture from "./picture.js";

const $ = (id) => document.getElementById(id);
const GONE = 410; // the status of a session that has ended
const TOUCH = matchMedia("(hover: none)").matches;

class Fault extends Error { // its message is a sentence for the visitor
  constructor(sentence, status = 0) {
    super(sentence);
    this.status = status;
  }
}

let visit = null; // what the server said at the session's begin
let photo = null; // {number, signal, asked: {layer: promise}} of the photo that is shown
let row = []; // Files that were chosen together
let writing = false;
let latest = null; // AbortController of the photo that is on its way

async function ask(path, body = null, more = {}, signal = null) {
  let answer;
  try {
    answer = await fetch(path, { method: "POST", body, signal, headers: { Session: visit?.session ?? "", ...more } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Fault("The program that serves this page does not answer. Start it again, then reload the page.");
  }
  if (!answer.ok) throw new Fault(await answer.text(), answer.status);
  return answer;
}

async function begin() {
  visit = await (await ask("session")).json();
  const zero = visit.stops.findIndex(([, layers]) => !Object.keys(layers).length);
  $("age").max = visit.stops.length - 1;
  $("ageing").style.setProperty("--zero", zero / (visit.stops.length - 1));
  $("file").accept = visit.suffixes.join();
}

// Run an action of the visitor; what goes wrong becomes a sentence.
async function attempt(action) {
  tell("");
  try {
    await action();
  } catch (error) {
    failed(error);
  }
}

function failed(error) {
  if (error.name === "AbortError") return;
  if (!(error instanceof Fault)) console.error(error);
  if (error.status === GONE) forget();
  if ($("busy").textContent) {
    enter(photo ? "ready" : "empty");
    if (photo) fetchLayers(photo).catch(failed); // those that were on their way
  }
  tell(error instanceof Fault ? error.message : `The page failed (${error.message}). Reload it and try again.`);
}

function tell(sentence) {
  $("message").textContent = sentence;
  $("message").hidden = !sentence;
}

function enter(state, busy = "") {
  $("busy").textContent = busy;
  document.body.dataset.state = state;
}

function forget() {
  photo = visit = null;
  enter("empty");
}

// files: all that were chosen with it, none if it is one of those that are in the row.
async function open(file, files = null) {
  const stay = files ? null : $("age").value;
  latest?.abort();
  latest = new AbortController();
  const { signal } = latest;
  if (photo) Object.assign(photo, { signal, asked: {} }); // it stays if this file is no photo
  enter("busy", "Looking for faces …");
  await file.slice(0, 1).arrayBuffer().catch(() => {
    throw new Fault(`${file.name} cannot be read. Is it a folder?`);
  });
  if (files) showRow(files);
  for (const one of $("row").children) one.ariaCurrent = String(row[one.value] === file);
  const answer = await upload(file, signal);
  const unpacked = unpack(await answer.arrayBuffer());
  photo = { number: answer.headers.get("number"), signal, asked: {} };
  $("age").value = stay ?? visit.start;
  picture.show(unpacked, changed);
  list(unpacked, notesOf(answer));
  fetchLayers(photo).catch(failed);
  enter("ready");
  $("age").focus({ preventScroll: true });
}

// The layers that the photo came without, one after the other; the slider asks for its own first.
async function fetchLayers(mine) {
  $("picture").ariaBusy = "true";
  for (let layer = 0; layer < visit.layers; layer++) {
    if (mine === photo && !picture.has(layer)) await need(layer);
  }
  if (mine === photo) $("picture").ariaBusy = "false";
}

function need(layer) {
  const mine = photo;
  mine.asked[layer] ??= ask(`photo/${mine.number}/layer?layer=${layer}`, null, {}, mine.signal)
    .then((answer) => answer.arrayBuffer())
    .then((buffer) => {
      if (mine !== photo) return;
      picture.take(layer, buffer);
      changed();
    });
  return mine.asked[layer];
}

async function upload(file, signal) {
  const send = () => {
    if (file.size > visit["most bytes"]) {
      throw new Fault(`${file.name} has ${Math.round(file.size / 1e6)} MB; the page takes at most `
        + `${visit["most bytes"] / 1e6} MB.`);
    }
    return ask("photo", file, { Name: encodeURIComponent(file.name) }, signal);
  };
  if (!visit) await begin();
  try {
    return await send();
  } catch (error) {
    if (error.status !== GONE) throw error;
    await begin(); // the page was left alone, or the program was started again
    return send();
  }
}

function notesOf(answer) {
  return answer.headers.get("notes").split(" ").filter(Boolean).map(decodeURIComponent);
}

// What is to be said of the photo, below it.
function list(unpacked, notes) {
  const beside = unpacked.faces.filter((face) => !face.aligned).length;
  const texts = [...notes];
  if (beside) {
    texts.unshift(`${beside} of ${unpacked.faces.length} ${unpacked.faces.length > 1 ? "faces" : "face"} turned away `
      + "or half covered: left out");
  }
  $("notes").replaceChildren(...texts.map(line));
}

function line(text) {
  const made = document.createElement("li");
  made.textContent = text;
  return made;
}

function stop() {
  return visit.stops[Number($("age").value)];
}

// Show the photo as slider and faces stand.
function changed() {
  const [title, layers] = stop();
  const missing = Object.keys(layers).filter((layer) => !picture.has(layer));
  if (!missing.length) picture.draw(layers);
  for (const layer of missing) need(layer).catch(failed); // and then this is called again
  $("title").textContent = title + (missing.length ? " …" : "");
  $("age").setAttribute("aria-valuetext", title);
  $("ageing").style.setProperty("--value", Number($("age").value) / Number($("age").max));
  const faces = picture.kept().length;
  $("download").disabled = !Object.keys(layers).length || !faces;
  tellFaces(document.querySelectorAll("#faces button").length, faces);
}

function tellFaces(all, kept) {
  const { face, out } = picture.closeUp();
  $("closer").textContent = face === null ? "Look closely" : all > 1 ? `Face ${face + 1} of ${all}` : "The whole photo";
  $("closer").setAttribute("aria-pressed", String(face !== null));
  $("previous").hidden = $("next").hidden = all === 1;
  $("leave").hidden = face === null || (all === 1 && !out);
  $("leave").setAttribute("aria-pressed", String(out));
  const count = `${all} ${all > 1 ? "faces" : "face"}${all > kept ? `, ${all - kept} left out` : ""}. `;
  const closely = `${count}${TOUCH ? "Tap" : "Click"} ${all > 1 ? "one" : "it"} to look closely. `;
  $("hint").textContent = (face === null ? closely : "") + `Hold the picture${TOUCH ? "" : " or O"} for the original.`;
}

async function download() {
  if (writing) return;
  writing = true; // and not disabled, which would take the keyboard's focus away
  $("download").textContent = "Writing …";
  try {
    const faces = picture.kept().map((face) => `&face=${face}`).join("");
    const answer = await ask(`photo/${photo.number}/edited?stop=${$("age").value}${faces}${$("form").value}`);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await answer.blob());
    link.download = decodeURIComponent(answer.headers.get("content-disposition").split("''")[1]);
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    tellNotes(notesOf(answer));
  } finally {
    writing = false;
    $("download").textContent = "Download";
  }
}

// Add what the writing has to say to the list.
function tellNotes(notes) {
  const known = new Set([...$("notes").children].map((note) => note.textContent));
  $("notes").append(...notes.filter((text) => !known.has(text)).map(line));
}

async function example(name) {
  const answer = await fetch(`examples/${name}`).catch(() => null);
  if (!answer?.ok) throw new Fault("The program that serves this page does not answer. Start it again.");
  await open(new File([await answer.blob()], name), []);
}

async function shoot() {
  let file;
  try {
    file = await camera.take();
  } catch (error) {
    throw new Fault(error.name === "NotAllowedError" ? "The browser does not let this page use the camera. Allow it in "
      + "the browser's settings for this page." : "There is no camera that the browser can use.");
  }
  if (file) await open(file, []);
}

async function dropped(files) {
  if (!files.length) throw new Fault("That is no file. Save the picture first, then drop or paste the file.");
  await open(files[0], files);
}

// Small pictures of several photos, to go from one to the next.
function showRow(files) {
  for (const { src } of $("row").querySelectorAll("img")) URL.revokeObjectURL(src);
  row = files;
  $("row").hidden = row.length < 2;
  $("row").replaceChildren(...(row.length < 2 ? [] : row.map((file, i) => {
    const made = document.createElement("button");
    const image = document.createElement("img");
    made.type = "button";
    made.value = i;
    made.title = image.alt = file.name; // what is shown of kinds that the browser cannot read
    image.src = URL.createObjectURL(file);
    made.append(image);
    made.addEventListener("click", () => attempt(() => open(file)));
    return made;
  })));
}

$("pick").addEventListener("click", () => $("file").click());
$("camera").addEventListener("click", () => camera.live ? attempt(shoot) : $("selfie").click());
for (const id of ["file", "selfie"]) {
  $(id).addEventListener("change", () => {
    const files = [...$(id).files];
    if (files.length) attempt(() => open(files[0], files));
    $(id).value = ""; // so that the same file can be chosen again
  });
}
for (const button of document.querySelectorAll("[data-example]")) {
  button.addEventListener("click", () => attempt(() => example(button.dataset.example)));
}
$("another").addEventListener("click", () => {
  tell("");
  latest.abort();
  photo = null;
  showRow([]);
  enter("empty");
  $("pick").focus();
});
$("age").addEventListener("input", changed);
const closer = () => picture.look(picture.closeUp().face === null ? 0 : null);
const steps = { closer, previous: () => picture.walk(-1), next: () => picture.walk(1), leave: picture.leaveOut };
for (const [id, step] of Object.entries(steps)) $(id).addEventListener("click", step);
const keys = { z: closer, p: steps.previous, n: steps.next, o: () => picture.original(true) };
addEventListener("keydown", (event) => {
  const key = event.key.toLowerCase();
  if (document.body.dataset.state !== "ready" || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target.tagName === "SELECT") return; // there, letters choose
  if (key === "escape") picture.look(null);
  else keys[key]?.();
});
for (const end of ["keyup", "blur"]) addEventListener(end, () => picture.original(false));
$("download").addEventListener("click", () => attempt(download));

let over = 0; // how many elements a dragged file is over
addEventListener("dragenter", () => document.body.classList.toggle("over", ++over > 0));
addEventListener("dragleave", () => document.body.classList.toggle("over", --over > 0));
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  over = 0;
  document.body.classList.remove("over");
  attempt(() => dropped([...event.dataTransfer.files]));
});
addEventListener("paste", (event) => {
  event.preventDefault();
  attempt(() => dropped([...event.clipboardData.files]));
});

// The session ends with the page. A page that comes back from the browser's memory has none any more.
addEventListener("pagehide", () => {
  if (visit) fetch("end", { method: "POST", headers: { Session: visit.session }, keepalive: true });
});
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

attempt(begin);
