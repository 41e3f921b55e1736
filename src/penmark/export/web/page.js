/** The page: the sheet on one side, what the network makes of it on the other. */

import { SHEET, Sheet, context2d } from "./drawing.js";
import { loadNetwork } from "./network.js";
import { SIDE, prepareDigit } from "./prepare.js";

const MOST_BARS = 12;
const LIKELIEST = 10;

const sheet = new Sheet(canvas("sheet"));
const seen = canvas("seen");
const undo = button("undo");
const clear = button("clear");

/** @type {import("./network.js").Network | null} */
let network = null;
/** @type {Bar[]} */
let bars = [];
let isAsking = false;
let isStale = false;
let isAnnounced = true;

/**
 * One line of the chart.
 * @typedef {{row: HTMLElement, name: HTMLElement, fill: HTMLElement, share: HTMLElement}} Bar
 */

sheet.addEventListener("ink", () => {
  undo.disabled = !sheet.canUndo;
  clear.disabled = sheet.isEmpty;
  element("hint").hidden = !sheet.isEmpty;
  void answer();
});
sheet.addEventListener("lifted", () => {
  isAnnounced = false;
  void answer();
});
sheet.addEventListener("pen", () => say(sheet.penIsDown ? "Pen down" : "Pen up"));
undo.addEventListener("click", () => sheet.undo());
clear.addEventListener("click", () => sheet.clear());
button("again").addEventListener("click", () => location.reload());
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "z") {
    event.preventDefault();
    sheet.undo();
  }
});

showImage(new Uint8Array(SIDE * SIDE));
void start();

async function start() {
  document.body.classList.add("started");
  const progress = element("progress");
  try {
    network = await loadNetwork((share) => progress.setAttribute("value", share.toFixed(3)));
  } catch (error) {
    progress.hidden = true;
    element("status").classList.add("failed");
    element("status").setAttribute("role", "alert");
    const reason = error instanceof Error ? error.message : String(error);
    element("status-text").textContent = `The network could not be loaded: ${reason}.`;
    button("again").hidden = false;
    return;
  }
  element("status").hidden = true;
  makeBars(network.classNames);
  void answer();
}

/** Ask the network about the newest ink; while it thinks, later ink waits for one more turn. */
async function answer() {
  if (isAsking || network === null) {
    isStale = true;
    return;
  }
  isAsking = true;
  do {
    isStale = false;
    const pixels = prepareDigit(sheet.ink(), SHEET, SHEET);
    showImage(pixels);
    const isBlank = sheet.isEmpty;
    const shares = isBlank ? null : await network.predict(pixels);
    if (!isStale) showAnswer(network.classNames, shares);
    // Between two answers the browser draws the line.
    await new Promise(requestAnimationFrame);
  } while (isStale);
  isAsking = false;
}

/**
 * @param {string[]} names
 * @param {Float32Array | null} shares null for a blank sheet
 */
function showAnswer(names, shares) {
  const order = [...names.keys()];
  if (shares) order.sort((a, b) => shares[b] - shares[a]);
  const [best, second] = order;
  const label = element("label");
  label.textContent = shares ? names[best] : "–";
  label.classList.toggle("word", label.textContent.length > 2);
  label.classList.toggle("blank", shares === null);
  element("sure").textContent = shares ? `${percent(shares[best])} sure` : "Nothing yet";
  element("second").textContent = shares ? `then ${names[second]}, ${percent(shares[second])}` : "";
  seen.setAttribute(
    "aria-label",
    `What the network sees: ${shares ? "your drawing in 28 by 28 pixels" : "nothing yet"}`,
  );
  const places = bars.length === names.length ? [...names.keys()] : order;
  bars.forEach((bar, place) => {
    const index = places[place];
    const share = shares ? shares[index] : 0;
    bar.name.textContent = names[index];
    bar.fill.style.transform = `scaleX(${share})`;
    bar.share.textContent = shares ? percent(share) : "";
    bar.row.classList.toggle("best", shares !== null && index === best);
  });
  if (isAnnounced || sheet.penIsDown) return;
  isAnnounced = true;
  if (shares) say(`It reads ${names[best]}, ${percent(shares[best])} sure`);
}

/** @param {string[]} names */
function makeBars(names) {
  const count = names.length > MOST_BARS ? LIKELIEST : names.length;
  const isWordy = names.some((name) => name.length > 2);
  element("bars").classList.toggle("words", isWordy);
  bars = Array.from({ length: count }, (_, index) => {
    const row = document.createElement("li");
    const [name, track, share] = ["name", "track", "share"].map((kind) => {
      const part = document.createElement("span");
      part.className = kind;
      return row.appendChild(part);
    });
    name.textContent = names[index];
    const fill = track.appendChild(document.createElement("i"));
    element("bars").append(row);
    return { row, name, fill, share };
  });
}

/** @param {Uint8Array} pixels */
function showImage(pixels) {
  const image = new ImageData(SIDE, SIDE);
  pixels.forEach((value, index) => image.data.set([value, value, value, 255], 4 * index));
  context2d(seen).putImageData(image, 0, 0);
}

/** @param {string} text for a screen reader */
function say(text) {
  element("said").textContent = text;
}

/**
 * A share as a percentage; 100% and 0% are kept for exactly 1 and 0.
 * @param {number} share
 */
function percent(share) {
  if (share <= 0 || share >= 1) return `${share <= 0 ? 0 : 100}%`;
  if (share < 0.0005) return "<0.1%";
  return `${Math.min(100 * share, 99.9).toFixed(1)}%`;
}

/** @param {string} id */
function element(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/** @param {string} id */
function canvas(id) {
  return /** @type {HTMLCanvasElement} */ (element(id));
}

/** @param {string} id */
function button(id) {
  return /** @type {HTMLButtonElement} */ (element(id));
}
