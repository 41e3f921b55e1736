// Draw a digit and see what the network makes of it, while the pen moves.
import { useEffect, useState } from "preact/hooks";
import type { Answer, ReadDigit } from "../api/types";
import { Bars } from "../components/bars";
import { Icon } from "../components/icons";
import { ModelPicker } from "../components/model-picker";
import { Empty, Failure } from "../components/notice";
import { Pad } from "../components/pad";
import { GrayPixels } from "../components/pixels";
import { useSettled } from "../lib/hooks";
import { change, usePlace } from "../lib/router";
import { useLatency, useReader } from "../lib/reader";
import { useStudio } from "../lib/studio";
import { percent, plural } from "../lib/wording";

export const DIGITS = [..."0123456789"];

export function DrawPage() {
  const studio = useStudio();
  const { params } = usePlace();
  const models = studio.models.filter((entry) => entry.reads_digits);
  const wanted = params.get("model");
  const model = models.find((entry) => entry.id === wanted)?.id ?? studio.default_model;
  const state = useReader(model);
  const selected = useSelectedDigit(state.answer);
  const digit = state.answer?.digits[selected] ?? null;

  if (!model) return <NoModel />;
  return (
    <div class="page draw">
      <header class="head">
        <h1>Draw</h1>
        <ModelPicker models={models} model={model} />
      </header>
      <div class="draw-grid">
        <section class="card pad-card" aria-label="Drawing">
          <Pad
            answer={state.answer}
            picture={state.picture}
            selected={selected}
            onSelect={(index) => change({ digit: index })}
          />
        </section>
        <section class="card answer" aria-label="Answer" aria-busy={state.busy}>
          {state.error ? (
            <Failure error={state.error} />
          ) : (
            <AnswerView answer={state.answer} digit={digit} selected={selected} waiting={state.busy} />
          )}
          <Bars
            names={DIGITS}
            values={digit?.probabilities ?? null}
            best={digit && digit.label !== "?" ? Number(digit.label) : null}
          />
          <Latency />
        </section>
        <section class="card seen" aria-label="What the network saw">
          <Seen digit={digit} />
        </section>
      </div>
      <Spoken answer={state.answer} busy={state.busy} />
    </div>
  );
}

function Latency() {
  const latency = useLatency();
  return (
    <p class="fine latency" data-latency={latency?.toFixed(1) ?? ""}>
      {latency === null ? "" : `Answered ${latency.toFixed(0)} ms after the pen`}
    </p>
  );
}

/** The digit of the address, else the one drawn last. */
export function useSelectedDigit(answer: Answer | null): number {
  const { params } = usePlace();
  const count = answer?.digits.length ?? 0;
  const wanted = Number(params.get("digit") ?? NaN);
  return wanted < count ? wanted : Math.max(0, count - 1);
}

interface AnswerViewProps {
  answer: Answer | null;
  digit: ReadDigit | null;
  selected: number;
  waiting: boolean;
}

function AnswerView({ answer, digit, selected, waiting }: AnswerViewProps) {
  if (!answer || !answer.digits.length) {
    return (
      <div class="verdict none">
        <p class="text" aria-hidden="true">
          –
        </p>
        <p class="say">
          {waiting ? "Reading…" : answer ? "Nothing like a digit here yet." : "Waiting for your pen."}
        </p>
      </div>
    );
  }
  const many = answer.digits.length > 1;
  return (
    <div class={`verdict ${digit?.label === "?" ? "unsure" : ""}`}>
      {many ? (
        <div class="row-text" role="group" aria-label={`Reads ${answer.text}`}>
          {answer.lines.map((_, line) => (
            <div class="row-line" key={line}>
              {answer.digits.map((entry, index) =>
                entry.line === line ? (
                  <button
                    key={index}
                    type="button"
                    class={entry.label === "?" ? "none" : ""}
                    aria-pressed={index === selected}
                    aria-label={`Digit ${index + 1}: ${spokenLabel(entry)}`}
                    onClick={() => change({ digit: index })}
                  >
                    {entry.label}
                  </button>
                ) : null,
              )}
            </div>
          ))}
        </div>
      ) : (
        <p class="text">{digit?.label}</p>
      )}
      {digit && (
        <p class="say">
          {digit.label === "?" ? (
            <>
              <b>Not a digit</b>: {digit.reason || "it resembles none"}. Nearest: {nearest(digit)}.
            </>
          ) : (
            <>
              {many && `Digit ${selected + 1} of ${answer.digits.length}: `}
              <b>{percent(digit.probability)}</b> sure; next would be {digit.runner_up}.
            </>
          )}
        </p>
      )}
    </div>
  );
}

function nearest(digit: ReadDigit): string {
  const best = digit.probabilities.indexOf(Math.max(...digit.probabilities));
  return `${best} with ${percent(digit.probabilities[best])}`;
}

function spokenLabel(digit: ReadDigit): string {
  return digit.label === "?" ? "not a digit" : digit.label;
}

function Seen({ digit }: { digit: ReadDigit | null }) {
  const { params } = usePlace();
  const grid = params.get("grid") === "1";
  return (
    <>
      <div class="seen-head">
        <h2>What the network saw</h2>
        <label class="switch">
          <input
            type="checkbox"
            checked={grid}
            onChange={(event) => change({ grid: event.currentTarget.checked ? 1 : null })}
          />
          <span>Grid</span>
        </label>
      </div>
      {digit ? (
        <GrayPixels
          width={28}
          height={28}
          bytes={decodeBytes(digit.prepared)}
          grid={grid}
          class="seen-image"
          label="The prepared image, 28 by 28 pixels"
        />
      ) : (
        <div class="blank seen-image" />
      )}
      <p class="fine">
        28×28 pixels: cropped, scaled and centered as in MNIST.{" "}
        {digit && (
          <a href={`/look${location.search}`} class="more">
            <Icon name="look" /> Look inside
          </a>
        )}
      </p>
    </>
  );
}

export function decodeBytes(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

/** For screen readers: the answer once the pen rests. */
function Spoken({ answer, busy }: { answer: Answer | null; busy: boolean }) {
  const settled = useSettled(answer, 600);
  const [text, setText] = useState("");
  useEffect(() => {
    if (busy || !settled) return;
    const labels = settled.digits.map(spokenLabel);
    setText(
      labels.length === 0
        ? "Nothing like a digit."
        : `${plural(labels.length, "digit")}: ${labels.join(", ")}.`,
    );
  }, [settled, busy]);
  return (
    <p class="hidden" role="status">
      {text}
    </p>
  );
}

function NoModel() {
  return (
    <div class="page">
      <Empty
        title="No network yet"
        art={
          <svg viewBox="0 0 120 60" aria-hidden="true">
            <path d="M10 40q20-40 40-20t-20 30q30 0 50-30t30-5" />
          </svg>
        }
      >
        <p>There is nobody here who could read. Train a first network: on the digits that come with penmark it takes less than a minute.</p>
        <a class="button primary" href="/train">
          Train a network
        </a>
      </Empty>
    </div>
  );
}
