"use strict";

const element = (id) => document.getElementById(id);
const pad = element("pad"), file = element("file"), preview = element("preview"), well = document.querySelector(".input");
const { maxBytes, size, explainable } = document.body.dataset;
let image = null; // what was sent last
let requests = new AbortController(); // those about it

/* asking the server */

async function ask(path, signal) {
  const response = await fetch(path, {
    method: "POST", body: image, signal, headers: { "Content-Type": image.type || "application/octet-stream" },
  });
  const answer = await response.json().catch(() => ({})); // a proxy's refusal is a page
  if (!response.ok) throw Object.assign(new Error(answer.detail ?? ""), { status: response.status });
  return answer;
}

async function show(blob) {
  requests.abort();
  requests = new AbortController();
  const { signal } = requests;
  image = blob;
  element("invitation").hidden = true;
  try {
    if (blob.size > Number(maxBytes)) throw Object.assign(new Error(), { status: 413 });
    showClasses(await ask("/predict?top=5", signal));
    await explain(null, signal).catch(unexplained);
  } catch (error) {
    if (!signal.aborted) fail(error);
  }
}

async function explain(name, signal) {
  if (explainable !== "yes") return;
  const pictures = element("pictures");
  pictures.classList.add("busy");
  try {
    const found = await ask(name === null ? "/explain" : `/explain?class=${encodeURIComponent(name)}`, signal);
    for (const button of element("bars").querySelectorAll("button")) {
      button.setAttribute("aria-pressed", button.dataset.name === found.class);
    }
    pictures.replaceChildren(...found.pictures.map(figure));
  } finally {
    if (!signal.aborted) pictures.classList.remove("busy");
  }
}

/* showing answers */

function showClasses({ classes, unsure }) {
  element("error").hidden = true;
  element("answer").textContent = unsure ? `Unsure: ${classes[0].class}?` : classes[0].class;
  element("unsure").hidden = !unsure;
  element("unsure").textContent = unsure ? `Don't rely on it: ${unsure}` : "";
  element("bars").replaceChildren(...classes.map(bar));
}

function bar({ class: name, probability }) {
  const button = make("button", { type: "button", disabled: explainable !== "yes", title: `What raises the score of ${name}?` });
  button.dataset.name = name;
  button.setAttribute("aria-pressed", "false");
  const fill = make("span", { className: "fill" });
  fill.style.width = `${100 * probability}%`;
  const track = make("span", { className: "track" }, fill);
  const share = probability > 0 && probability < 0.0005 ? "< 0.1 %" : `${(100 * probability).toFixed(1)} %`;
  button.append(make("span", { className: "name", textContent: name }), make("span", { className: "share", textContent: share }), track);
  button.addEventListener("click", () => explain(name, requests.signal).catch(unexplained));
  return make("li", {}, button);
}

function figure({ title, caption, image }) {
  const picture = make("img", { src: image, alt: title });
  picture.addEventListener("load", () => picture.classList.toggle("small", picture.naturalWidth < 120));
  return make("figure", {}, picture, make("figcaption", {}, make("strong", { textContent: title }), caption));
}

function make(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

const largest = `${Number(maxBytes) / 1e6} MB`;
const WORDS = { // what a person can do about a refusal
  400: "The image did not arrive. Choose it again.",
  408: "The image took too long to arrive. Try a smaller one, or a better connection.",
  413: `This file is too large: at most ${largest}. Save it smaller, and choose it again.`,
  415: "This is no image file. Choose a JPEG, PNG, WebP, GIF, BMP or TIFF file.",
  422: "This file can't be read as an image. Save it as JPEG or PNG, and choose it again.",
  501: "There are no pictures of what this network saw.",
  503: "The server is busy, or still starting. Try again in some seconds.",
  504: "The answer took too long. Try again, or a smaller image.",
};

function inWords(error) {
  if (error instanceof TypeError) return ["The server does not answer. Is `convlab serve` still running?", ""];
  return [WORDS[error.status] ?? "Something went wrong on the server. Try again.", error.message];
}

function said(error) {
  const [words, detail] = inWords(error);
  return detail ? [words, make("small", { textContent: detail })] : [words];
}

function fail(error) {
  if (error.name === "AbortError") return;
  forget();
  element("error").replaceChildren(...said(error));
  element("error").hidden = false;
}

/* The answer stands, though its explanation failed. */
function unexplained(error) {
  if (error.name === "AbortError") return;
  element("pictures").replaceChildren(make("p", {}, ...said(error)));
}

function forget() {
  element("error").hidden = true;
  element("unsure").hidden = true;
  element("answer").replaceChildren(make("span", { className: "soft", textContent: "Nothing yet." }));
  element("bars").replaceChildren();
  element("pictures")?.replaceChildren();
}

/* choosing, dropping, pasting */

function take(blob) {
  if (!blob) return;
  clearPad();
  URL.revokeObjectURL(preview.src);
  preview.src = URL.createObjectURL(blob);
  preview.hidden = false;
  show(blob);
}

preview.addEventListener("error", () => { preview.hidden = true; }); // a kind that only the server knows
file.addEventListener("change", () => { take(file.files[0]); file.value = ""; });
document.addEventListener("paste", (event) => take([...event.clipboardData.files][0]));
document.addEventListener("dragover", (event) => { event.preventDefault(); well.classList.add("over"); });
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) well.classList.remove("over"); });
document.addEventListener("drop", (event) => {
  event.preventDefault();
  well.classList.remove("over");
  take(event.dataTransfer.files[0]);
});
element("clear").addEventListener("click", () => {
  requests.abort();
  preview.hidden = true;
  element("invitation").hidden = false;
  clearPad();
  forget();
});

/* drawing: strokes are lists of points [x, y] from 0 to 1 */

const PEN = 0.085; // of the pad's side; of a digit's box, about as thick as MNIST's strokes are
const BOX = 20 / 28; // of the image's side, for the digit
const SMALLEST = 0.2; // of the pad's side: what is smaller is not enlarged as far as to fill the box
let strokes = [];

function draw(context, side, place, pen) {
  context.fillStyle = "#000";
  context.fillRect(0, 0, side, side);
  Object.assign(context, { strokeStyle: "#fff", lineCap: "round", lineJoin: "round", lineWidth: pen });
  for (const stroke of strokes) {
    context.beginPath();
    stroke.forEach((point, index) => context[index ? "lineTo" : "moveTo"](...place(point)));
    if (stroke.length === 1) context.lineTo(...place(stroke[0]));
    context.stroke();
  }
}

/* The strokes as MNIST's digits are: scaled to the box, the centre of mass in the middle. */
function normalized() {
  const side = Number(size), canvas = make("canvas", { width: side, height: side });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const points = strokes.flat(), pen = PEN * side;
  const [left, top] = [0, 1].map((axis) => Math.min(...points.map((point) => point[axis])));
  const extent = Math.max(SMALLEST, ...points.map(([x, y]) => Math.max(x - left, y - top)));
  const scale = (BOX * side - pen) / extent;
  const at = (across, down) => ([x, y]) => [(x - left) * scale + across, (y - top) * scale + down];
  draw(context, side, at(pen / 2, pen / 2), pen);
  const { data } = context.getImageData(0, 0, side, side);
  let mass = 0, across = 0, down = 0;
  for (let index = 0; index < side * side; index++) {
    const value = data[4 * index];
    mass += value;
    across += value * ((index % side) + 0.5);
    down += value * (Math.floor(index / side) + 0.5);
  }
  draw(context, side, at(pen / 2 + side / 2 - across / mass, pen / 2 + side / 2 - down / mass), pen);
  return new Promise((resolve) => { canvas.toBlob(resolve, "image/png"); });
}

function redraw() {
  draw(pad.getContext("2d"), pad.width, ([x, y]) => [x * pad.width, y * pad.height], PEN * BOX * pad.width);
}

function clearPad() {
  strokes = [];
  if (pad) redraw();
}

if (pad) {
  const point = (event) => {
    const { left, top, width, height } = pad.getBoundingClientRect();
    return [(event.clientX - left) / width, (event.clientY - top) / height];
  };
  const end = async (event) => {
    if (!pad.hasPointerCapture(event.pointerId)) return;
    pad.releasePointerCapture(event.pointerId);
    show(await normalized());
  };
  pad.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    pad.setPointerCapture(event.pointerId);
    preview.hidden = true;
    element("invitation").hidden = true;
    strokes.push([point(event)]);
    redraw();
  });
  pad.addEventListener("pointermove", (event) => {
    if (!pad.hasPointerCapture(event.pointerId)) return;
    for (const each of event.getCoalescedEvents?.() ?? [event]) strokes.at(-1).push(point(each));
    redraw();
  });
  pad.addEventListener("pointerup", end);
  pad.addEventListener("pointercancel", end);
  redraw();
}
