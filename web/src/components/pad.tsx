// Where one draws: mouse, pen or touch; or a picture, with what was found in it.
import { useEffect, useRef, useState } from "preact/hooks";
import type { Answer } from "../api/types";
import { useThemeVersion } from "../lib/hooks";
import { drawing, HEIGHT, paintStroke, PEN_WIDTHS, WIDTH } from "../lib/ink";
import { reader, type Picture } from "../lib/reader";
import { resolvedColor } from "../lib/colors";
import { Icon } from "./icons";

interface PadProps {
  answer: Answer | null;
  picture: Picture | null;
  selected: number;
  onSelect: (digit: number) => void;
}

const PEN_NAMES = ["Thin", "Medium", "Thick"];

export function Pad({ answer, picture, selected, onSelect }: PadProps) {
  const [pen, setPen] = useState(1);
  const [over, setOver] = useState(false);
  const chooser = useRef<HTMLInputElement>(null);

  function take(file: File | null | undefined): void {
    if (file?.type.startsWith("image/") || file?.name.match(/\.(heic|tiff?)$/i)) {
      reader.show(file, file.name || "pasted picture");
    }
  }

  useEffect(() => {
    const paste = (event: ClipboardEvent) => take(event.clipboardData?.files[0]);
    const key = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key === "z") {
        if (event.target instanceof HTMLInputElement) return;
        event.preventDefault();
        drawing.undo();
      }
    };
    addEventListener("paste", paste);
    addEventListener("keydown", key);
    return () => {
      removeEventListener("paste", paste);
      removeEventListener("keydown", key);
    };
  }, []);

  return (
    <div
      class={`pad ${over ? "over" : ""}`}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        take(event.dataTransfer?.files[0]);
      }}
    >
      <div class="paper">
        {picture ? (
          <div class="shown-picture">
            <Shown picture={picture} answer={answer} />
            {answer && <Boxes answer={answer} selected={selected} onSelect={onSelect} />}
          </div>
        ) : (
          <>
            <Surface penWidth={PEN_WIDTHS[pen]!} />
            {answer && (answer.digits.length > 1 || answer.digits[0]?.label === "?") && (
              <Boxes answer={answer} selected={selected} onSelect={onSelect} />
            )}
          </>
        )}
      </div>
      <div class="tools" role="toolbar" aria-label="Drawing tools">
        <button
          type="button"
          class="tool"
          title="Undo (Ctrl+Z)"
          onClick={() => drawing.undo()}
          disabled={drawing.empty || !!picture}
        >
          <Icon name="undo" /> <span>Undo</span>
        </button>
        <button
          type="button"
          class="tool"
          title="Clear"
          onClick={() => reader.clear()}
          disabled={drawing.empty && !picture}
        >
          <Icon name="clear" /> <span>Clear</span>
        </button>
        <fieldset class="pens">
          <legend class="hidden">Stroke width</legend>
          {PEN_NAMES.map((name, index) => (
            <label key={name} title={`${name} stroke`}>
              <input
                type="radio"
                name="pen"
                checked={pen === index}
                onChange={() => setPen(index)}
              />
              <span class={`dot dot-${index}`} aria-hidden="true" />
              <span class="hidden">{name}</span>
            </label>
          ))}
        </fieldset>
        <button type="button" class="tool last" title="Choose a picture" onClick={() => chooser.current?.click()}>
          <Icon name="picture" /> <span>Picture</span>
        </button>
        <input
          ref={chooser}
          type="file"
          accept="image/*"
          class="hidden"
          tabIndex={-1}
          aria-label="Choose a picture"
          onChange={(event) => {
            take(event.currentTarget.files?.[0]);
            event.currentTarget.value = "";
          }}
        />
      </div>
    </div>
  );
}

/** The picture; a sheet of its shape where the browser cannot show what the server may read. */
function Shown({ picture, answer }: { picture: Picture; answer: Answer | null }) {
  const [failed, setFailed] = useState("");
  if (failed !== picture.url) {
    return (
      <img
        src={picture.url}
        alt={`The picture ${picture.name}`}
        onError={() => setFailed(picture.url)}
      />
    );
  }
  return (
    <div
      class="unshown"
      style={{ "--ratio": answer ? answer.width / answer.height : WIDTH / HEIGHT }}
    >
      <p>This browser cannot show {picture.name}.</p>
    </div>
  );
}

function Surface({ penWidth }: { penWidth: number }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const pointer = useRef<number | null>(null);
  const theme = useThemeVersion();
  const [empty, setEmpty] = useState(drawing.empty);

  useEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context) return undefined;
    let drawn = { strokes: 0, points: 0 };
    let color = "";
    const paintNew = () => {
      let before = 0;
      for (const stroke of drawing.strokes) {
        const from = Math.max(0, drawn.points - before);
        before += stroke.points.length;
        if (from < stroke.points.length) {
          paintStroke(context, stroke, color, Math.max(0, from - 2));
        }
      }
      drawn = { strokes: drawing.strokes.length, points: before };
    };
    const paintAll = () => {
      const scale = Math.max(1, Math.min(3, (devicePixelRatio * element.clientWidth) / WIDTH));
      element.width = Math.round(WIDTH * scale);
      element.height = Math.round(HEIGHT * scale);
      context.setTransform(scale, 0, 0, scale, 0, 0);
      color = resolvedColor("--ink");
      drawn = { strokes: 0, points: 0 };
      paintNew();
    };
    paintAll();
    const resized = new ResizeObserver(paintAll);
    resized.observe(element);
    const stop = drawing.listen(() => {
      const points = drawing.strokes.reduce((sum, stroke) => sum + stroke.points.length, 0);
      // More points were added to what is there: paint only the new piece.
      if (points >= drawn.points && drawing.strokes.length >= drawn.strokes) paintNew();
      else paintAll();
      setEmpty(drawing.empty);
    });
    return () => {
      resized.disconnect();
      stop();
    };
  }, [theme]);

  useEffect(() => {
    const element = canvas.current!;
    const move = (event: PointerEvent) => {
      if (event.pointerId !== pointer.current) return;
      const parts = event.getCoalescedEvents?.() ?? [];
      drawing.extend(places(parts.length ? parts : [event]), event.timeStamp);
    };
    // Where the browser tells of moves as they happen, they do not wait for the next frame.
    const kind = "onpointerrawupdate" in element ? "pointerrawupdate" : "pointermove";
    element.addEventListener(kind, move as EventListener);
    return () => element.removeEventListener(kind, move as EventListener);
  }, []);

  /** Where events happened in the drawing: x, y, x, y, … */
  function places(events: PointerEvent[]): number[] {
    const box = canvas.current!.getBoundingClientRect();
    return events.flatMap((event) => [
      within((event.clientX - box.left) * (WIDTH / box.width), WIDTH),
      within((event.clientY - box.top) * (HEIGHT / box.height), HEIGHT),
    ]);
  }

  return (
    <>
      <canvas
        ref={canvas}
        class="surface"
        role="img"
        aria-label="Drawing area. Draw a digit with mouse, pen or finger; without one, choose or paste a picture."
        onPointerDown={(event) => {
          if (event.button !== 0 || pointer.current !== null) return;
          event.preventDefault();
          pointer.current = event.pointerId;
          try {
            event.currentTarget.setPointerCapture(event.pointerId);
          } catch {
            // A pointer that has gone already: its stroke is a dot.
          }
          // A light hand with a pressure-sensitive pen draws thinner.
          const pressure = event.pointerType === "pen" && event.pressure ? event.pressure : 0.5;
          const [x, y] = places([event]) as [number, number];
          drawing.begin(x, y, Math.round(penWidth * (0.6 + 0.8 * pressure)), event.timeStamp);
        }}
        onPointerUp={(event) => {
          if (event.pointerId === pointer.current) pointer.current = null;
        }}
        onPointerCancel={(event) => {
          if (event.pointerId === pointer.current) pointer.current = null;
        }}
      />
      {empty && (
        <p class="hint" aria-hidden="true">
          Draw a digit, or a whole row.
          <small>Or drop, paste or choose a picture.</small>
        </p>
      )}
    </>
  );
}

function within(value: number, most: number): number {
  return Math.min(Math.max(Math.round(value), 0), most);
}

interface BoxesProps {
  answer: Answer;
  selected: number;
  onSelect: (digit: number) => void;
}

function Boxes({ answer, selected, onSelect }: BoxesProps) {
  return (
    <div class="boxes">
      {answer.digits.map((digit, index) => {
        const [x, y, width, height] = digit.box;
        return (
          <button
            key={index}
            type="button"
            class={`box ${digit.label === "?" ? "none" : ""}`}
            aria-pressed={index === selected}
            aria-label={`Digit ${index + 1} of ${answer.digits.length}: ${digit.label}`}
            style={{
              left: `${(100 * x) / answer.width}%`,
              top: `${(100 * y) / answer.height}%`,
              width: `${(100 * width) / answer.width}%`,
              height: `${(100 * height) / answer.height}%`,
            }}
            onClick={() => onSelect(index)}
          >
            <span>{digit.label}</span>
          </button>
        );
      })}
    </div>
  );
}
