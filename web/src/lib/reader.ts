// The drawing or picture, and what the chosen network reads in it: shared by Draw and Look inside.
import { useEffect, useState } from "preact/hooks";
import { LatestOnly, sendBytes } from "../api/client";
import type { Answer } from "../api/types";
import { drawing, fromText, HEIGHT, toText, WIDTH, type Part } from "./ink";
import { change, here } from "./router";

export interface Picture {
  blob: Blob;
  url: string;
  name: string;
}

interface Question {
  model: string;
  picture: Picture | null;
  touched: number;
}

/** What everybody who watches is told. */
export interface ReaderState {
  answer: Answer | null;
  error: Error | null;
  busy: boolean;
  picture: Picture | null;
}

type Latency = number | null;

class Reader {
  state: ReaderState = { answer: null, error: null, busy: false, picture: null };
  /** Milliseconds from the pen's last move to the frame that shows the answer to it. */
  latency: Latency = null;
  private model: string | null = null;
  private saving: ReturnType<typeof setTimeout> | undefined;
  private readonly listeners = new Set<() => void>();
  private readonly timekeepers = new Set<() => void>();
  private readonly requests = new LatestOnly<Question, Answer>(
    (question) =>
      question.picture
        ? sendBytes("POST", "picture", { model: question.model }, question.picture.blob)
        : readPart(question.model, drawing.inked()),
    (answer, question) => this.answered(answer, question),
    (error) => this.tell({ error, answer: null, busy: false }),
  );

  constructor() {
    const ink = here().params.get("ink");
    if (ink) drawing.replace(fromText(ink));
    drawing.listen(() => {
      if (this.state.picture) return;
      this.ask();
      clearTimeout(this.saving);
      this.saving = setTimeout(() => this.save(), 400);
    });
  }

  listen(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** Hear of every new latency, which nobody else has to draw anything anew for. */
  listenToLatency(listener: () => void): () => void {
    this.timekeepers.add(listener);
    return () => void this.timekeepers.delete(listener);
  }

  setModel(model: string | null): void {
    if (model === this.model) return;
    this.model = model;
    this.ask();
  }

  show(blob: Blob, name: string): void {
    this.dropPicture();
    this.tell({ picture: { blob, name, url: URL.createObjectURL(blob) }, answer: null });
    change({ ink: null });
    this.ask();
  }

  clear(): void {
    this.dropPicture();
    this.tell({ picture: null, answer: null, error: null, busy: false });
    drawing.clear();
  }

  /** Draw on an empty page again. */
  private dropPicture(): void {
    if (this.state.picture) URL.revokeObjectURL(this.state.picture.url);
    this.requests.clear();
  }

  private save(): void {
    const { path } = here();
    if (path === "/" || path === "/look") {
      change({ ink: this.state.picture ? null : toText(drawing.strokes) });
    }
  }

  private ask(): void {
    if (!this.model) return;
    const { picture } = this.state;
    if (!picture && drawing.empty) {
      this.requests.clear();
      this.tell({ answer: null, error: null, busy: false });
      this.time(null);
      return;
    }
    // At once, not with the next frame: while one question is under way only the newest waits.
    this.requests.push({ model: this.model, picture, touched: drawing.touched });
    if (!this.state.busy) this.tell({ busy: true });
  }

  private answered(answer: Answer, question: Question): void {
    const current = question.picture === this.state.picture;
    const gone = !question.picture && drawing.empty;
    if (!current || gone) return;
    const done = question.touched === drawing.touched;
    this.tell({ answer, error: null, busy: !done });
    if (question.picture) return;
    requestAnimationFrame(() => {
      // Asked for a measure of the page, the browser lays out this frame, new bars included.
      document.body.getBoundingClientRect();
      this.time(performance.now() - question.touched);
    });
  }

  private time(latency: Latency): void {
    this.latency = latency;
    this.timekeepers.forEach((listener) => listener());
  }

  private tell(changes: Partial<ReaderState>): void {
    this.state = { ...this.state, ...changes };
    this.listeners.forEach((listener) => listener());
  }
}

/** What a part of the drawing says, in places of the whole drawing. */
async function readPart(model: string, part: Part): Promise<Answer> {
  const { left, top, width, height, bytes } = part;
  const answer = await sendBytes<Answer>("POST", "read", { model, width, height }, bytes);
  const digits = answer.digits.map((digit) => {
    const [x, y, ...size] = digit.box as [number, number, number, number];
    return { ...digit, box: [left + x, top + y, ...size] as typeof digit.box };
  });
  return { ...answer, digits, width: WIDTH, height: HEIGHT };
}

export const reader = new Reader();

export function useReader(model: string | null): ReaderState {
  const [state, setState] = useState(reader.state);
  useEffect(() => reader.listen(() => setState(reader.state)), []);
  useEffect(() => reader.setModel(model), [model]);
  return state;
}

export function useLatency(): Latency {
  const [latency, setLatency] = useState(reader.latency);
  useEffect(() => reader.listenToLatency(() => setLatency(reader.latency)), []);
  return latency;
}
