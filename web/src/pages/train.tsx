// Train: choose, start, watch, stop, go on, compare.
import { useMemo, useState } from "preact/hooks";
import { get, send } from "../api/client";
import type {
  DatasetEntry,
  LiveExamples,
  LiveUpdate,
  RunEntry,
  RunName,
  RunView,
  TrainingChoices,
} from "../api/types";
import { Chart, type Curve } from "../components/chart";
import { Icon } from "../components/icons";
import { Empty, Failure, Waiting } from "../components/notice";
import { sheetAddress, Tile } from "../components/tiles";
import { useFetched } from "../lib/hooks";
import { useLive } from "../lib/live";
import { change, usePlace } from "../lib/router";
import { useStudio } from "../lib/studio";
import { count, decimal, percent, plural, seconds } from "../lib/wording";

export function TrainPage() {
  const studio = useStudio();
  const { params } = usePlace();
  const [version, setVersion] = useState(0);
  const [sessions, setSessions] = useState(0);
  const runs = useFetched(`runs ${version}`, (signal) => get<RunEntry[]>("runs", {}, signal));
  const compared = (params.get("compare") ?? "")
    .split(",")
    .filter((name) => name && (runs.value?.some((run) => run.name === name) ?? true));
  const shown = params.get("run") ?? studio.training;
  const refresh = () => {
    setVersion((number) => number + 1);
    studio.refresh();
  };

  return (
    <div class="page train">
      <header class="head">
        <h1>Train</h1>
      </header>
      <div class="train-grid">
        <TrainingForm busy={studio.training} onStart={refresh} />
        <div class="train-main">
          {compared.length > 1 ? (
            <Comparison names={compared} />
          ) : shown ? (
            <RunPanel
              key={`${shown} ${sessions}`}
              name={shown}
              onChange={refresh}
              onResume={() => {
                setSessions((number) => number + 1);
                refresh();
              }}
            />
          ) : (
            runs.value && <Welcome runs={runs.value} />
          )}
          {runs.error ? (
            <Failure error={runs.error} again={runs.again} />
          ) : !runs.value ? (
            <Waiting>Looking for runs…</Waiting>
          ) : (
            runs.value.length > 0 && <RunTable runs={runs.value} compared={compared} shown={shown} />
          )}
        </div>
      </div>
    </div>
  );
}

function Welcome({ runs }: { runs: RunEntry[] }) {
  return (
    <div class="card">
      <Empty
        title={runs.length ? "Choose a run, or start one" : "Nothing trained here yet"}
        art={
          <svg viewBox="0 0 120 60" aria-hidden="true">
            <path d="M8 8v44h104" />
            <path d="M14 16q10 30 40 32t54 2" />
          </svg>
        }
      >
        <p>
          {runs.length
            ? "The table below holds every training of this workspace."
            : "Start with what is filled in: it trains on the digits that come with penmark, and the curves move from the first second."}
        </p>
      </Empty>
    </div>
  );
}

/* The form */

interface FormProps {
  busy: string | null;
  onStart: () => void;
}

const FIRST_SETTINGS = ["epochs", "batch_size", "learning_rate"];

function TrainingForm({ busy, onStart }: FormProps) {
  const { params } = usePlace();
  const choices = useFetched("training", (signal) =>
    get<TrainingChoices>("training", {}, signal),
  );
  const data = useFetched("data", (signal) => get<DatasetEntry[]>("data", {}, signal));
  const [error, setError] = useState<Error | null>(null);
  const [starting, setStarting] = useState(false);

  if (choices.error) return <Failure error={choices.error} again={choices.again} />;
  if (data.error) return <Failure error={data.error} again={data.again} />;
  if (!choices.value || !data.value) return <Waiting>Fetching the recipes…</Waiting>;

  const { recipes, default_recipe } = choices.value;
  const recipe =
    recipes.find((entry) => entry.name === params.get("recipe")) ??
    recipes.find((entry) => entry.name === default_recipe)!;
  const chosen =
    data.value.find((entry) => entry.id === params.get("data")) ?? data.value[0]!;
  const defaults: Record<string, string> = {
    epochs: String(recipe.epochs),
    batch_size: String(recipe.batch_size),
    learning_rate: "the optimizer’s",
    validation_split: String(recipe.validation_split),
    early_stopping: "never",
    positive_class: "the first",
    seed: "0",
  };

  async function start(event: Event): Promise<void> {
    event.preventDefault();
    setStarting(true);
    setError(null);
    const body: Record<string, string | number | boolean> = {
      recipe: recipe.name,
      data: chosen.id,
    };
    for (const { name } of choices.value!.settings) {
      const value = params.get(name);
      if (value) body[name] = typed(name, value);
    }
    try {
      const { name } = await send<RunName>("POST", "runs", {}, body);
      change({ run: name, compare: null }, { replace: false });
      onStart();
      scrollTo({ top: 0 });
    } catch (problem) {
      setError(problem as Error);
    } finally {
      setStarting(false);
    }
  }

  const field = (name: string) => {
    const setting = choices.value!.settings.find((entry) => entry.name === name)!;
    if (name === "positive_class" && !recipe.binary) return null;
    if (!recipe.optimizer && ["learning_rate", "optimizer", "schedule"].includes(name)) return null;
    const id = `setting-${name}`;
    const common = {
      id,
      name,
      "aria-describedby": `${id}-help`,
      onChange: (event: Event) => {
        const input = event.currentTarget as HTMLInputElement;
        change({ [name]: input.type === "checkbox" ? (input.checked ? 1 : null) : input.value });
      },
    };
    const value = params.get(name) ?? "";
    return (
      <div class={`setting ${name === "keep_best" ? "check" : ""}`} key={name}>
        <label for={id}>{setting.title}</label>
        {name === "optimizer" || name === "schedule" ? (
          <select {...common} value={value}>
            <option value="">
              {name === "optimizer" ? `${recipe.optimizer} (as published)` : "constant"}
            </option>
            {choices.value![name === "optimizer" ? "optimizers" : "schedules"]
              .filter((entry) => entry !== "constant" && entry !== recipe.optimizer)
              .map((entry) => (
                <option key={entry}>{entry}</option>
              ))}
          </select>
        ) : name === "keep_best" ? (
          <input {...common} type="checkbox" checked={value === "1"} />
        ) : name === "positive_class" ? (
          <input {...common} class="text" value={value} placeholder={defaults[name]} />
        ) : (
          <input
            {...common}
            type="number"
            step="any"
            min={0}
            value={value}
            placeholder={defaults[name]}
          />
        )}
        <p class="fine" id={`${id}-help`}>
          {setting.sentence}
        </p>
      </div>
    );
  };
  const rest = choices.value.settings
    .map((entry) => entry.name)
    .filter((name) => !FIRST_SETTINGS.includes(name));

  return (
    <form class="card form" onSubmit={(event) => void start(event)} aria-label="New training">
      <h2>New training</h2>
      <div class="setting">
        <label for="recipe">Network</label>
        <select
          id="recipe"
          value={recipe.name}
          aria-describedby="recipe-help"
          onChange={(event) => change({ recipe: event.currentTarget.value })}
        >
          {recipes.map((entry) => (
            <option key={entry.name}>{entry.name}</option>
          ))}
        </select>
        <p class="fine" id="recipe-help">
          {recipe.network}
          {recipe.published_accuracy &&
            `; published with ${published(recipe.published_accuracy)} on MNIST`}
          .
        </p>
      </div>
      <div class="setting">
        <label for="data">Data</label>
        <select
          id="data"
          value={chosen.id}
          aria-describedby="data-help"
          onChange={(event) => change({ data: event.currentTarget.value })}
        >
          {data.value.map((entry) => (
            <option key={entry.id} value={entry.id} disabled={!entry.available}>
              {entry.title}
              {entry.available ? "" : " (not on this computer)"}
            </option>
          ))}
        </select>
        <p class="fine" id="data-help">
          {chosen.description}{" "}
          {chosen.train_images !== null && `${count(chosen.train_images)} images to train on.`}{" "}
          {chosen.advice}
        </p>
      </div>
      {FIRST_SETTINGS.map(field)}
      <details open={rest.some((name) => params.has(name))}>
        <summary>More settings</summary>
        {rest.map(field)}
      </details>
      {error && <Failure error={error} />}
      <button class="button primary" disabled={starting || !!busy || !chosen.available}>
        {starting ? <span class="spinner" aria-hidden="true" /> : <Icon name="play" />}
        {busy ? "A training is running" : starting ? "Starting…" : "Start training"}
      </button>
    </form>
  );
}

function typed(name: string, value: string): string | number | boolean {
  if (name === "keep_best") return value === "1";
  return ["optimizer", "schedule", "positive_class"].includes(name) ? value : Number(value);
}

function published([low, high]: [number, number]): string {
  return low === high ? percent(low, 1000) : `${percent(low)} to ${percent(high)}`;
}

/* One run */

type Row = Record<string, number | null>;

interface RunPanelProps {
  name: string;
  onChange: () => void;
  onResume: () => void;
}

function RunPanel({ name, onChange, onResume }: RunPanelProps) {
  const [session, setSession] = useState(0);
  const { update, connected, missing } = useLive(name, () => {
    setSession((number) => number + 1);
    onChange();
  });
  // A training that has just begun has no folder yet.
  const begun = update && (!update.live || !["starting", "loading"].includes(update.phase));
  const run = useFetched(begun ? `${name} ${session}` : null, (signal) =>
    get<RunView>(`runs/${encodeURIComponent(name)}`, {}, signal),
  );
  const [error, setError] = useState<Error | null>(null);
  const [stopping, setStopping] = useState(false);

  if (missing) {
    return <Failure error={new Error(`There is no run “${name}” in this workspace.`)} />;
  }
  if (run.error && update?.phase !== "failed") {
    return <Failure error={run.error} again={run.again} />;
  }
  if (!update || (!update.live && run.loading && !run.value)) {
    return (
      <div class="card">
        <Waiting>Opening the run…</Waiting>
      </div>
    );
  }
  const view = run.value;
  const live = update?.live ?? false;
  const rows = allRows(view, update);
  const epochs = (live && update?.epochs) || view?.entry.epochs || rows.length;
  const entry = view?.entry;

  async function act(what: "stop" | "resume", body: object = {}): Promise<void> {
    setError(null);
    try {
      await send("POST", `runs/${encodeURIComponent(name)}/${what}`, {}, body);
      if (what === "stop") setStopping(true);
      else {
        onResume();
      }
    } catch (problem) {
      setError(problem as Error);
    }
  }

  return (
    <section class="card run" aria-label={`Run ${name}`}>
      <header>
        <div>
          <h2>{name}</h2>
          <p class="fine">
            {entry ? `${entry.recipe} on ${entry.data}` : "Starting…"}
            {entry?.parameters ? `, ${count(entry.parameters)} parameters` : ""}
          </p>
        </div>
        <div class="buttons">
          {live ? (
            <button
              type="button"
              class="button"
              disabled={stopping || update?.phase === "finishing"}
              onClick={() => void act("stop")}
            >
              <Icon name="stop" /> {stopping ? "Stopping…" : "Stop"}
            </button>
          ) : (
            entry && <GoOn entry={entry} onResume={(more) => void act("resume", more)} />
          )}
          {view?.report && !live && (
            <a
              class="button"
              href={`/api/runs/${encodeURIComponent(name)}/report`}
              target="_blank"
              rel="noopener"
            >
              Report
            </a>
          )}
          {entry?.accuracy !== null && entry && !live && (
            <a class="button" href={`/mistakes?run=${encodeURIComponent(name)}`}>
              Mistakes
            </a>
          )}
        </div>
      </header>
      {error && <Failure error={error} />}
      <Status view={view} update={update} connected={connected} rows={rows} epochs={epochs} />
      {rows.length > 0 || (update && update.points.length > 0) ? (
        <Curves rows={rows} update={live ? update : null} epochs={epochs} />
      ) : (
        !(update?.phase === "failed") && (
          <div class="chart-blank">
            <p>The curves begin with the first batches.</p>
          </div>
        )
      )}
      {update?.examples && (live || update.examples.examples.length > 0) ? (
        <Examples name={name} examples={update.examples} update={update} />
      ) : (
        view && <PerClass view={view} />
      )}
      {view && <EpochTable rows={rows} command={view.command} />}
    </section>
  );
}

/** Epochs of earlier sessions from the run's history, those of this one as they were reported. */
function allRows(view: RunView | null, update: LiveUpdate | null): Row[] {
  const history = view?.history ?? {};
  const recorded: Row[] = (history["epoch"] ?? []).map((_, index) =>
    Object.fromEntries(Object.entries(history).map(([name, values]) => [name, values[index] ?? null])),
  );
  if (!update?.live) return recorded.length ? recorded : (update?.rows ?? []);
  return [
    ...recorded.filter((row) => (row["epoch"] ?? 0) <= update.first_epoch),
    ...update.rows,
  ];
}

interface StatusProps {
  view: RunView | null;
  update: LiveUpdate | null;
  connected: boolean;
  rows: Row[];
  epochs: number;
}

const PHASES: Record<string, string> = {
  starting: "Starting the training’s process…",
  loading: "Loading images and building the network…",
  finishing: "Evaluating on the test images and writing the report…",
};

function Status({ view, update, connected, rows, epochs }: StatusProps) {
  if (update?.phase === "failed" && !update.live) {
    return <Failure error={new Error(sentence(update.detail) || "The training failed.")} />;
  }
  if (update?.live) {
    const point = update.points.at(-1)?.[0] ?? 0;
    const done = Math.max(point, rows.at(-1)?.["epoch"] ?? 0);
    const share = epochs ? Math.min(1, done / epochs) : 0;
    return (
      <div class="progress-box">
        <div
          class="progress"
          role="progressbar"
          aria-label="Training"
          aria-valuenow={Math.round(100 * share)}
          aria-valuemin={0}
          aria-valuemax={100}
        >
          <i style={{ transform: `scaleX(${share})` }} />
        </div>
        <p class="fine">
          {!connected
            ? "Connection lost; trying again. The training goes on meanwhile."
            : (PHASES[update.phase] ??
              `Epoch ${Math.min(Math.floor(done) + 1, epochs)} of ${epochs}, ${count(Math.round(update.rate ?? 0))} images a second`)}
        </p>
      </div>
    );
  }
  const entry = view?.entry;
  if (!entry) return null;
  return (
    <>
      <dl class="facts">
        <div>
          <dt>Test accuracy</dt>
          <dd>{percent(entry.accuracy, entry.test_images ?? 0)}</dd>
        </div>
        <div>
          <dt>Test loss</dt>
          <dd>{decimal(entry.loss)}</dd>
        </div>
        <div>
          <dt>Epochs</dt>
          <dd>
            {entry.epochs_done}
            {entry.epochs && entry.epochs !== entry.epochs_done ? ` of ${entry.epochs}` : ""}
          </dd>
        </div>
        <div>
          <dt>Training time</dt>
          <dd>{seconds(entry.train_seconds)}</dd>
        </div>
      </dl>
      {entry.status === "running" && (
        <p class="notice">
          It was not ended properly, or another program trains it. If none does, go on from its last
          whole epoch.
        </p>
      )}
      {entry.status === "interrupted" && (
        <p class="fine">Stopped early; the numbers are those of its last whole epoch.</p>
      )}
      {view?.error && entry.status === "failed" && <Failure error={new Error(sentence(view.error))} />}
    </>
  );
}

function sentence(text: string): string {
  return text ? text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".") : "";
}

function GoOn({ entry, onResume }: { entry: RunEntry; onResume: (body: object) => void }) {
  const [epochs, setEpochs] = useState("");
  const studio = useStudio();
  if (studio.training) return null;
  if (entry.status !== "complete") {
    return (
      <button type="button" class="button primary" onClick={() => onResume({})}>
        <Icon name="play" /> Go on
      </button>
    );
  }
  return (
    <form
      class="go-on"
      onSubmit={(event) => {
        event.preventDefault();
        onResume({ epochs: Number(epochs) || 2 * entry.epochs_done });
      }}
    >
      <label>
        <span>Up to</span>
        <input
          type="number"
          min={entry.epochs_done + 1}
          max={1000}
          placeholder={String(2 * entry.epochs_done)}
          value={epochs}
          onInput={(event) => setEpochs(event.currentTarget.value)}
        />
        <span>epochs</span>
      </label>
      <button class="button">
        <Icon name="play" /> Go on
      </button>
    </form>
  );
}

interface CurvesProps {
  rows: Row[];
  update: LiveUpdate | null;
  epochs: number;
}

function Curves({ rows, update, epochs }: CurvesProps) {
  const curves = useMemo(() => {
    const done = rows.at(-1)?.["epoch"] ?? 0;
    // Within the running epoch the mean so far; of finished epochs what they ended with.
    const running = (update?.points ?? []).filter((point) => (point[0] ?? 0) > done);
    const make = (what: "loss" | "accuracy"): Curve[] => {
      const at = what === "loss" ? 1 : 2;
      const training: Curve = {
        label: "training",
        color: "--right-fill",
        points: [
          ...rows.map((row): [number, number | null] => [row["epoch"] ?? 0, row[what] ?? null]),
          ...running.map((point): [number, number | null] => [point[0] ?? 0, point[at] ?? null]),
        ],
      };
      const validation: Curve = {
        label: "validation",
        color: "--wrong-fill",
        dashed: true,
        points: rows.map((row) => [row["epoch"] ?? 0, row[`val_${what}`] ?? null]),
      };
      return rows.some((row) => row[`val_${what}`] != null) ? [training, validation] : [training];
    };
    return { loss: make("loss"), accuracy: make("accuracy") };
  }, [rows.length, update?.number, rows.at(-1)?.["epoch"]]);
  return (
    <div class="charts">
      <Chart title="Accuracy" kind="share" curves={curves.accuracy} epochs={epochs} />
      <Chart title="Loss" kind="loss" curves={curves.loss} epochs={epochs} />
    </div>
  );
}

interface ExamplesProps {
  name: string;
  examples: LiveExamples;
  update: LiveUpdate;
}

function Examples({ name, examples, update }: ExamplesProps) {
  const names = update.class_names;
  const indices = examples.examples.map((example) => example.index);
  const view = useFetched(`shape ${name}`, () =>
    get<{ image_shape: number[] }>("data/view", { data: `run:${name}` }),
  );
  const shape = view.value?.image_shape ?? [1, 1];
  const sheet = sheetAddress(`run:${name}`, "test", indices);
  return (
    <div class="examples">
      <div>
        <h3>
          Each class after epoch {examples.epoch}{" "}
          <small class="fine">
            {percent(examples.accuracy, update.test_images)} of{" "}
            {plural(update.test_images, "test image")}
          </small>
        </h3>
        <ClassTable names={names} values={examples.accuracies} />
      </div>
      <div>
        <h3>Examples</h3>
        <ul class="tiles">
          {examples.examples.map((example, at) => {
            const right = example.label === example.predicted;
            return (
              <li key={example.index} class={right ? "" : "miss"}>
                {view.value ? (
                  <Tile sheet={sheet} at={at} count={indices.length} shape={shape} />
                ) : (
                  <span class="tile to-come" />
                )}
                <span class="caption">
                  {right ? "" : <s>{names[example.label]}</s>} <b>{names[example.predicted]}</b>{" "}
                  <small>{percent(example.probability)}</small>
                </span>
              </li>
            );
          })}
        </ul>
      </div>
    </div>
  );
}

export function ClassTable({ names, values }: { names: string[]; values: (number | null)[] }) {
  return (
    <table class="bars">
      <caption class="hidden">Accuracy of each class</caption>
      <tbody>
        {names.map((name, index) => (
          <tr key={name} class="best">
            <th scope="row">{name}</th>
            <td class="track">
              <i style={{ transform: `scaleX(${values[index] ?? 0})` }} />
            </td>
            <td class="value">{percent(values[index] ?? null)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function PerClass({ view }: { view: RunView }) {
  if (!view.per_class.length) return null;
  return (
    <div class="per-class">
      <h3>Each class on the test images</h3>
      <ClassTable
        names={view.per_class.map((entry) => String(entry["class"]))}
        values={view.per_class.map((entry) => Number(entry["recall"]))}
      />
    </div>
  );
}

function EpochTable({ rows, command }: { rows: Row[]; command: string }) {
  const [open, setOpen] = useState(false);
  const names = Object.keys(rows[0] ?? {}).filter((name) => name !== "epoch");
  return (
    <details class="numbers" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Numbers, and how to repeat it</summary>
      <pre tabIndex={0}>{command}</pre>
      {open && rows.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label="Every epoch">
          <table class="list">
            <thead>
              <tr>
                <th scope="col">epoch</th>
                {names.map((name) => (
                  <th scope="col" class="number" key={name}>
                    {name.replace("val_", "validation ").replace("_", " ")}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <tr key={row["epoch"]}>
                  <th scope="row">{row["epoch"]}</th>
                  {names.map((name) => (
                    <td class="number" key={name}>
                      {name.endsWith("accuracy")
                        ? percent(row[name], 1000)
                        : name === "seconds"
                          ? seconds(row[name])
                          : decimal(row[name])}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </details>
  );
}

/* Several runs */

interface RunTableProps {
  runs: RunEntry[];
  compared: string[];
  shown: string | null;
}

const MOST_COMPARED = 6;

function RunTable({ runs, compared, shown }: RunTableProps) {
  function toggle(name: string, on: boolean): void {
    const next = on ? [...compared, name] : compared.filter((entry) => entry !== name);
    change({ compare: next.join(",") });
  }
  return (
    <section class="card" aria-label="Runs">
      <div class="seen-head">
        <h2>Runs</h2>
        <p class="fine">Check two or more to compare them.</p>
      </div>
      <div class="scroll" tabIndex={0} role="region" aria-label="All runs">
        <table class="list runs">
          <thead>
            <tr>
              <th scope="col">
                <span class="hidden">compare</span>
              </th>
              <th scope="col">run</th>
              <th scope="col" class="spare">
                network
              </th>
              <th scope="col" class="spare">
                data
              </th>
              <th scope="col" class="number spare">
                epochs
              </th>
              <th scope="col" class="number">
                <span class="spare">test </span>accuracy
              </th>
              <th scope="col" class="number spare">
                time
              </th>
            </tr>
          </thead>
          <tbody>
            {runs.map((run) => (
              <tr key={run.name} class={run.name === shown ? "shown" : ""}>
                <td>
                  <input
                    type="checkbox"
                    aria-label={`Compare ${run.name}`}
                    checked={compared.includes(run.name)}
                    disabled={compared.length >= MOST_COMPARED && !compared.includes(run.name)}
                    onChange={(event) => toggle(run.name, event.currentTarget.checked)}
                  />
                </td>
                <th scope="row">
                  <a href={`/train?run=${encodeURIComponent(run.name)}`}>{run.name}</a>{" "}
                  {run.live ? (
                    <span class="badge live">training</span>
                  ) : (
                    run.status !== "complete" && (
                      <span class="badge">{run.status === "running" ? "not ended" : run.status}</span>
                    )
                  )}
                  <small>
                    {run.recipe} on {run.data}, {plural(run.epochs_done, "epoch")}
                  </small>
                </th>
                <td class="spare">{run.recipe}</td>
                <td class="spare">{run.data}</td>
                <td class="number spare">{run.epochs_done}</td>
                <td class="number">{percent(run.accuracy, run.test_images ?? 0)}</td>
                <td class="number spare">{seconds(run.train_seconds)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

const SERIES = ["--series-1", "--series-2", "--series-3", "--series-4", "--series-5", "--series-6"];

function Comparison({ names }: { names: string[] }) {
  const views = useFetched(names.join(","), (signal) =>
    Promise.all(
      names
        .slice(0, MOST_COMPARED)
        .map((name) => get<RunView>(`runs/${encodeURIComponent(name)}`, {}, signal)),
    ),
  );
  const curves = useMemo(() => {
    const make = (what: string): Curve[] =>
      (views.value ?? []).map((view, index) => {
        const held = view.history[`val_${what}`];
        const values = held ?? view.history[what] ?? [];
        return {
          label: `${view.entry.name}${held ? "" : " (training)"}`,
          color: SERIES[index]!,
          dashed: !held,
          points: values.map((value, epoch): [number, number | null] => [epoch + 1, value]),
        };
      });
    return { loss: make("loss"), accuracy: make("accuracy") };
  }, [views.value]);
  if (views.error) return <Failure error={views.error} again={views.again} />;
  if (!views.value) return <Waiting>Fetching the runs…</Waiting>;
  const epochs = Math.max(...views.value.map((view) => view.entry.epochs_done));
  const differing = differences(views.value);
  return (
    <section class="card run" aria-label="Comparison">
      <header>
        <div>
          <h2>{plural(views.value.length, "run")} compared</h2>
          <p class="fine">On validation where images were held back for it, else on the training images.</p>
        </div>
        <button type="button" class="button" onClick={() => change({ compare: null })}>
          Done
        </button>
      </header>
      <div class="charts">
        <Chart title="Accuracy" kind="share" curves={curves.accuracy} epochs={epochs} />
        <Chart title="Loss" kind="loss" curves={curves.loss} epochs={epochs} />
      </div>
      <div class="scroll" tabIndex={0} role="region" aria-label="Differences">
        <table class="list differences">
          <thead>
            <tr>
              <th scope="col">run</th>
              <th scope="col" class="number">
                test accuracy
              </th>
              {differing.map((name) => (
                <th scope="col" key={name}>
                  {name.replaceAll("_", " ")}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {views.value.map((view, index) => (
              <tr key={view.entry.name}>
                <th scope="row">
                  <i class="swatch" style={{ background: `var(${SERIES[index]})` }} /> {view.entry.name}
                </th>
                <td class="number">{percent(view.entry.accuracy, view.entry.test_images ?? 0)}</td>
                {differing.map((name) => (
                  <td key={name}>{String(view.settings[name] ?? "–")}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

/** Settings in which the runs differ. */
function differences(views: RunView[]): string[] {
  const first = views[0]?.settings ?? {};
  return Object.keys(first).filter((name) =>
    views.some((view) => JSON.stringify(view.settings[name]) !== JSON.stringify(first[name])),
  );
}
