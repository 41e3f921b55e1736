/**
 * A sheet to draw on with mouse, pen, touch or keyboard. Strokes are kept as lines in the sheet's
 * own units, so that the ink does not depend on the screen or on the colors of the page.
 */

/** Side of the sheet in its own units, which are also the pixels of its ink. */
export const SHEET = 280;
const PEN = 22;
const KEY_STEP = 8;
const MOST_UNDO = 200;

/**
 * @typedef {{x: number, y: number}} Point
 * @typedef {Point[]} Stroke
 */

export class Sheet extends EventTarget {
  /** @type {Stroke[]} */
  #strokes = [];
  /** @type {Stroke[][]} */
  #past = [];
  /** @type {Stroke | null} the stroke that is being drawn */
  #open = null;
  /** @type {number | null} the pointer that draws it; null for the keyboard */
  #pointer = null;
  /** @type {Point} where the keyboard's pen is */
  #pen = { x: SHEET / 2, y: SHEET / 4 };
  #showsPen = false;
  #canvas;
  #ink;

  /**
   * It dispatches `ink` whenever the ink changes, `lifted` when a stroke has ended, and `pen` when
   * the keyboard lowers or lifts the pen.
   * @param {HTMLCanvasElement} canvas
   */
  constructor(canvas) {
    super();
    this.#canvas = canvas;
    const hidden = document.createElement("canvas");
    hidden.width = hidden.height = SHEET;
    this.#ink = context2d(hidden, { willReadFrequently: true });
    canvas.addEventListener("pointerdown", (event) => this.#begin(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      canvas.addEventListener(end, (event) => {
        if (event instanceof PointerEvent && event.pointerId === this.#pointer) this.#lift();
      });
    }
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("focus", () => this.#focus(canvas.matches(":focus-visible")));
    canvas.addEventListener("blur", () => this.#focus(false));
    new ResizeObserver(() => this.#show()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#show());
  }

  get isEmpty() {
    return this.#strokes.length === 0;
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  get penIsDown() {
    return this.#open !== null;
  }

  /** The ink, 280×280 bytes row by row: 0 is paper, 255 is full ink. */
  ink() {
    const ink = this.#ink;
    ink.fillStyle = "#000";
    ink.fillRect(0, 0, SHEET, SHEET);
    drawStrokes(ink, this.#strokes, "#fff");
    const pixels = ink.getImageData(0, 0, SHEET, SHEET).data;
    return Uint8Array.from({ length: SHEET * SHEET }, (_, index) => pixels[4 * index]);
  }

  /** Take the last stroke back, or the last clearing. */
  undo() {
    this.#drop();
    const before = this.#past.pop();
    if (before) this.#change(before);
  }

  clear() {
    this.#drop();
    if (this.isEmpty) return;
    this.#remember();
    this.#change([]);
  }

  /** @param {PointerEvent} event */
  #begin(event) {
    if (event.button !== 0 || this.#pointer !== null) return;
    if (this.#open) this.#lift();
    this.#pointer = event.pointerId;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#lower(this.#place(event));
  }

  /** @param {PointerEvent} event */
  #move(event) {
    if (event.pointerId !== this.#pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) this.#open?.push(this.#place(each));
    this.#change(this.#strokes);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[
      event.key
    ];
    if (event.ctrlKey || event.metaKey || event.altKey || this.#pointer !== null) return;
    if (step) {
      const far = event.shiftKey ? KEY_STEP / 4 : KEY_STEP;
      this.#pen = {
        x: Math.min(Math.max(this.#pen.x + far * step[0], 0), SHEET),
        y: Math.min(Math.max(this.#pen.y + far * step[1], 0), SHEET),
      };
      this.#open?.push(this.#pen);
      this.#showsPen = true;
      if (this.#open) this.#change(this.#strokes);
      else this.#show();
    } else if (event.key === " " && !event.repeat) {
      this.#showsPen = true;
      if (this.#open) this.#lift();
      else this.#lower(this.#pen);
      this.dispatchEvent(new Event("pen"));
    } else if (event.key === "u" || event.key === "U" || event.key === "Backspace") {
      this.undo();
    } else if (event.key === "c" || event.key === "C" || event.key === "Delete") {
      this.clear();
    } else {
      return;
    }
    event.preventDefault();
  }

  /** @param {boolean} shown */
  #focus(shown) {
    this.#showsPen = shown;
    if (!shown && this.#open && this.#pointer === null) this.#lift();
    this.#show();
  }

  /** @param {Point} point */
  #lower(point) {
    this.#remember();
    this.#open = [point];
    this.#change([...this.#strokes, this.#open]);
  }

  #lift() {
    this.#open = null;
    this.#pointer = null;
    this.#show();
    this.dispatchEvent(new Event("lifted"));
  }

  /** Let go of a stroke in the making, before undo or clear. */
  #drop() {
    this.#open = null;
    this.#pointer = null;
  }

  #remember() {
    this.#past.push(this.#strokes);
    if (this.#past.length > MOST_UNDO) this.#past.shift();
  }

  /** @param {Stroke[]} strokes */
  #change(strokes) {
    this.#strokes = strokes;
    this.#show();
    this.dispatchEvent(new Event("ink"));
  }

  /**
   * @param {PointerEvent} event
   * @returns {Point}
   */
  #place(event) {
    const box = this.#canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * SHEET,
      y: ((event.clientY - box.top) / box.height) * SHEET,
    };
  }

  #show() {
    const canvas = this.#canvas;
    const side = Math.round(canvas.clientWidth * devicePixelRatio);
    if (side === 0) return;
    if (canvas.width !== side) canvas.width = canvas.height = side;
    const shown = context2d(canvas);
    const style = getComputedStyle(canvas);
    shown.setTransform(side / SHEET, 0, 0, side / SHEET, 0, 0);
    shown.clearRect(0, 0, SHEET, SHEET);
    drawStrokes(shown, this.#strokes, style.color);
    if (!this.#showsPen) return;
    shown.strokeStyle = style.getPropertyValue("--accent");
    shown.lineWidth = this.#open ? 4 : 2;
    shown.beginPath();
    shown.arc(this.#pen.x, this.#pen.y, PEN / 2 + 2, 0, 2 * Math.PI);
    shown.stroke();
  }
}

/**
 * Round lines through the points; between two of them the curve bends at the point between.
 * @param {CanvasRenderingContext2D} target
 * @param {Stroke[]} strokes
 * @param {string} color
 */
function drawStrokes(target, strokes, color) {
  target.strokeStyle = color;
  target.lineWidth = PEN;
  target.lineCap = target.lineJoin = "round";
  for (const stroke of strokes) {
    const [first, ...rest] = stroke;
    const last = stroke[stroke.length - 1];
    target.beginPath();
    target.moveTo(first.x, first.y);
    rest.forEach((point, index) => {
      const next = rest[index + 1];
      if (next) {
        target.quadraticCurveTo(point.x, point.y, (point.x + next.x) / 2, (point.y + next.y) / 2);
      }
    });
    target.lineTo(last.x, last.y);
    target.stroke();
  }
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {CanvasRenderingContext2DSettings} [options]
 * @returns {CanvasRenderingContext2D}
 */
export function context2d(canvas, options) {
  const context = canvas.getContext("2d", options);
  if (!context) throw new Error("this browser cannot draw on a canvas");
  return context;
}
