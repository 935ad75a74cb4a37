// The page: takes a photo, shows it, lets it be downloaded. All errors are sentences in #message.

import { unpack } from "./blend.js";
import * as camera from "./camera.js";
import * as picture from "./picture.js";

const $ = (id) => document.getElementById(id);
const WIDEST = 992; // pixels of the picture, and
const HIGHEST = 0.62; // its share of the window's height, both as page.css has them
const GONE = 410; // the status of a session that has ended

class Fault extends Error { // its message is a sentence for the visitor
  constructor(sentence, status = 0) {
    super(sentence);
    this.status = status;
  }
}

let visit = null; // what the server said at the session's begin
let photo = null; // {number, notes} of the photo that is shown
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
  const zero = visit.stops.findIndex((stop) => !stop.direction);
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
    if (error.name === "AbortError") return;
    if (!(error instanceof Fault)) console.error(error);
    if ($("busy").textContent) enter(photo ? "ready" : "empty");
    if (error.status === GONE) forget();
    tell(error instanceof Fault ? error.message : `The page failed (${error.message}). Reload it and try again.`);
  }
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

async function open(file) {
  latest?.abort();
  latest = new AbortController();
  const { signal } = latest;
  enter("busy", "Looking for faces …");
  await file.slice(0, 1).arrayBuffer().catch(() => {
    throw new Fault(`${file.name} cannot be read. Is it a folder?`);
  });
  const answer = await upload(file, signal);
  const unpacked = unpack(await answer.arrayBuffer());
  photo = { number: answer.headers.get("number"), notes: notesOf(answer) };
  picture.show(unpacked, changed);
  $("age").value = visit.start;
  $("notes").replaceChildren(...photo.notes.map(line));
  enter("ready");
  changed();
  $("age").focus({ preventScroll: true });
}

async function upload(file, signal) {
  const side = Math.ceil(Math.max(Math.min(screen.width, WIDEST), HIGHEST * screen.height) * devicePixelRatio);
  const send = () => {
    if (file.size > visit["most bytes"]) {
      throw new Fault(`${file.name} has ${Math.round(file.size / 1e6)} MB; the page takes at most `
        + `${visit["most bytes"] / 1e6} MB.`);
    }
    return ask(`photo?side=${side}`, file, { Name: encodeURIComponent(file.name) }, signal);
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
  const { direction, strength, title } = stop();
  picture.draw(direction, strength);
  $("title").textContent = title;
  $("age").setAttribute("aria-valuetext", title);
  $("ageing").style.setProperty("--value", Number($("age").value) / Number($("age").max));
  const faces = picture.kept().length;
  $("download").disabled = !direction || !faces;
  const all = document.querySelectorAll("#faces button").length;
  const left = all - faces ? `${all - faces} left out.` : all > 1 ? "Click a face to leave it out." : "";
  $("hint").textContent = `${all} ${all > 1 ? "faces" : "face"} found. ${left}`;
}

async function download() {
  if (writing) return;
  writing = true; // and not disabled, which would take the keyboard's focus away
  $("download").textContent = "Writing …";
  try {
    const faces = picture.kept().map((face) => `&face=${face}`).join("");
    const answer = await ask(`photo/${photo.number}/edited?stop=${$("age").value}${faces}`);
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
  await open(new File([await answer.blob()], name));
}

async function shoot() {
  let file;
  try {
    file = await camera.take();
  } catch (error) {
    throw new Fault(error.name === "NotAllowedError" ? "The browser does not let this page use the camera. Allow it in "
      + "the browser's settings for this page." : "There is no camera that the browser can use.");
  }
  if (file) await open(file);
}

async function dropped(files) {
  if (!files.length) throw new Fault("That is no file. Save the picture first, then drop or paste the file.");
  await open(files[0]);
  if (files.length > 1) {
    tell(`The page takes one photo at a time: of ${files.length} files this is ${files[0].name}. `
      + "For all of them use infer_faces.py.");
  }
}

$("pick").addEventListener("click", () => $("file").click());
$("camera").addEventListener("click", () => camera.live ? attempt(shoot) : $("selfie").click());
for (const id of ["file", "selfie"]) {
  $(id).addEventListener("change", () => {
    const [file] = $(id).files;
    if (file) attempt(() => open(file));
    $(id).value = ""; // so that the same file can be chosen again
  });
}
for (const button of document.querySelectorAll("[data-example]")) {
  button.addEventListener("click", () => attempt(() => example(button.dataset.example)));
}
$("another").addEventListener("click", () => {
  tell("");
  photo = null;
  enter("empty");
  $("pick").focus();
});
$("age").addEventListener("input", changed);
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
