// A drawing as strokes: what the pen did, what it looks like as pixels, and as text in the address.

export const WIDTH = 480;
export const HEIGHT = 300;
export const PEN_WIDTHS = [10, 16, 24] as const;
const LONGEST_TEXT = 6000;

export interface Stroke {
  width: number;
  /** x, y, x, y, … in whole pixels of the drawing. */
  points: number[];
}

/** A piece of the drawing: where it lies, and a byte a pixel, 0 for paper and 255 for ink. */
export interface Part {
  left: number;
  top: number;
  width: number;
  height: number;
  bytes: Uint8Array<ArrayBuffer>;
}

type Listener = () => void;

/** The one drawing that all pages share. */
export class Drawing {
  strokes: Stroke[] = [];
  /** When the pen last changed something, by the page's clock; for measuring the answer. */
  touched = 0;
  private readonly listeners = new Set<Listener>();
  private readonly canvas = document.createElement("canvas");
  private readonly context: CanvasRenderingContext2D;

  constructor() {
    this.canvas.width = WIDTH;
    this.canvas.height = HEIGHT;
    this.context = this.canvas.getContext("2d", { willReadFrequently: true })!;
    this.paintAll();
  }

  get empty(): boolean {
    return this.strokes.length === 0;
  }

  listen(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  begin(x: number, y: number, width: number, time: number): void {
    this.strokes.push({ width, points: [x, y] });
    this.paintFrom(this.strokes.length - 1, 0);
    this.changed(time);
  }

  /** Go on to each of these points: x, y, x, y, … */
  extend(points: number[], time: number): void {
    const stroke = this.strokes.at(-1);
    if (!stroke) return;
    const before = stroke.points.length;
    for (let index = 0; index < points.length; index += 2) {
      const [x, y] = [points[index]!, points[index + 1]!];
      const [lastX, lastY] = stroke.points.slice(-2) as [number, number];
      if (lastX !== x || lastY !== y) stroke.points.push(x, y);
    }
    if (stroke.points.length === before) return;
    this.paintFrom(this.strokes.length - 1, before - 2);
    this.changed(time);
  }

  undo(): void {
    this.strokes.pop();
    this.paintAll();
    this.changed(performance.now());
  }

  clear(): void {
    this.replace([]);
  }

  replace(strokes: Stroke[]): void {
    this.strokes = strokes;
    this.paintAll();
    this.changed(performance.now());
  }

  /** The part that holds all ink: most of a drawing is empty paper. */
  inked(): Part {
    let [left, top, right, bottom] = [WIDTH - 1, HEIGHT - 1, 1, 1];
    for (const { width, points } of this.strokes) {
      const reach = Math.ceil(width / 2) + 1;
      for (let index = 0; index < points.length; index += 2) {
        const [x, y] = [points[index]!, points[index + 1]!];
        left = Math.min(left, x - reach);
        top = Math.min(top, y - reach);
        right = Math.max(right, x + reach);
        bottom = Math.max(bottom, y + reach);
      }
    }
    left = Math.max(left, 0);
    top = Math.max(top, 0);
    const width = Math.min(right, WIDTH) - left;
    const height = Math.min(bottom, HEIGHT) - top;
    const { data } = this.context.getImageData(left, top, width, height);
    const bytes = new Uint8Array(width * height);
    for (let index = 0; index < bytes.length; index++) bytes[index] = data[4 * index]!;
    return { left, top, width, height, bytes };
  }

  private changed(time: number): void {
    this.touched = time;
    this.listeners.forEach((listener) => listener());
  }

  private paintAll(): void {
    this.context.fillStyle = "black";
    this.context.fillRect(0, 0, WIDTH, HEIGHT);
    this.strokes.forEach((_, index) => this.paintFrom(index, 0));
  }

  private paintFrom(index: number, from: number): void {
    paintStroke(this.context, this.strokes[index]!, "white", from);
  }
}

export function paintStroke(
  context: CanvasRenderingContext2D,
  stroke: Stroke,
  color: string,
  from = 0,
): void {
  const { points } = stroke;
  context.strokeStyle = color;
  context.lineWidth = stroke.width;
  context.lineCap = "round";
  context.lineJoin = "round";
  context.beginPath();
  context.moveTo(points[from]!, points[from + 1]!);
  // A point alone is a dot, which a line of no length with round ends draws.
  if (points.length === from + 2) context.lineTo(points[from]!, points[from + 1]!);
  for (let index = from + 2; index < points.length; index += 2) {
    context.lineTo(points[index]!, points[index + 1]!);
  }
  context.stroke();
}

/** Strokes as text for the address; "" for a drawing too long for one. */
export function toText(strokes: Stroke[]): string {
  const text = strokes.map(strokeText).join(".");
  return text.length <= LONGEST_TEXT ? text : "";
}

function strokeText({ width, points }: Stroke): string {
  const kept = simplified(points);
  const parts = [width];
  let [lastX, lastY] = [0, 0];
  for (let index = 0; index < kept.length; index += 2) {
    parts.push(kept[index]! - lastX, kept[index + 1]! - lastY);
    [lastX, lastY] = [kept[index]!, kept[index + 1]!];
  }
  return parts.map((value) => value.toString(36)).join("_");
}

/** Points nearer than this to the last one kept do not show. */
const STEP = 3;

function simplified(points: number[]): number[] {
  const kept = points.slice(0, 2);
  for (let index = 2; index < points.length; index += 2) {
    const [x, y] = [points[index]!, points[index + 1]!];
    const [lastX, lastY] = kept.slice(-2) as [number, number];
    const last = index === points.length - 2;
    if (last || Math.abs(x - lastX) + Math.abs(y - lastY) >= STEP) kept.push(x, y);
  }
  return kept;
}

/** The strokes of `toText`; what is no drawing gives none. */
export function fromText(text: string): Stroke[] {
  if (!text || text.length > LONGEST_TEXT) return [];
  const strokes: Stroke[] = [];
  for (const part of text.split(".")) {
    const numbers = part.split("_").map((word) => parseInt(word, 36));
    const [width, ...steps] = numbers;
    if (width === undefined || steps.length < 2 || steps.length % 2 || numbers.some(Number.isNaN)) {
      return [];
    }
    const points: number[] = [];
    let [x, y] = [0, 0];
    for (let index = 0; index < steps.length; index += 2) {
      x = clamp(x + steps[index]!, WIDTH);
      y = clamp(y + steps[index + 1]!, HEIGHT);
      points.push(x, y);
    }
    strokes.push({ width: Math.min(Math.max(width, 2), 60), points });
  }
  return strokes;
}

function clamp(value: number, most: number): number {
  return Math.min(Math.max(Math.round(value), 0), most);
}

export const drawing = new Drawing();
