// The drawing or picture, and what the chosen network reads in it: shared by Draw and Look inside.
import { useEffect, useState } from "preact/hooks";
import { LatestOnly, sendBytes } from "../api/client";
import type { Answer } from "../api/types";
import { drawing, fromText, HEIGHT, toText, WIDTH } from "./ink";
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
  /** From the pen's last move to the answer on the screen. */
  latency: number | null;
}

class Reader {
  state: ReaderState = { answer: null, error: null, busy: false, picture: null, latency: null };
  private model: string | null = null;
  private scheduled = false;
  private saving: ReturnType<typeof setTimeout> | undefined;
  private readonly listeners = new Set<() => void>();
  private readonly requests = new LatestOnly<Question, Answer>(
    (question) =>
      question.picture
        ? sendBytes("POST", "picture", { model: question.model }, question.picture.blob)
        : sendBytes(
            "POST",
            "read",
            { model: question.model, width: WIDTH, height: HEIGHT },
            drawing.pixels(),
          ),
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
    this.tell({ picture: null, answer: null, error: null, latency: null, busy: false });
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
    if (!this.model || this.scheduled) return;
    // Once a frame: the pen reports more often than a screen can show.
    this.scheduled = true;
    requestAnimationFrame(() => {
      this.scheduled = false;
      const { picture } = this.state;
      if (!this.model) return;
      if (!picture && drawing.empty) {
        this.requests.clear();
        this.tell({ answer: null, error: null, busy: false, latency: null });
        return;
      }
      if (!this.state.busy) this.tell({ busy: true });
      this.requests.push({ model: this.model, picture, touched: drawing.touched });
    });
  }

  private answered(answer: Answer, question: Question): void {
    const current = question.picture === this.state.picture;
    const gone = !question.picture && drawing.empty;
    if (!current || gone) return;
    const done = question.touched === drawing.touched;
    this.tell({ answer, error: null, busy: !done });
    if (question.picture) return;
    // The frame after the one in which the new bars are laid out.
    requestAnimationFrame(() => this.tell({ latency: performance.now() - question.touched }));
  }

  private tell(changes: Partial<ReaderState>): void {
    this.state = { ...this.state, ...changes };
    this.listeners.forEach((listener) => listener());
  }
}

export const reader = new Reader();

export function useReader(model: string | null): ReaderState {
  const [state, setState] = useState(reader.state);
  useEffect(() => reader.listen(() => setState(reader.state)), []);
  useEffect(() => reader.setModel(model), [model]);
  return state;
}
