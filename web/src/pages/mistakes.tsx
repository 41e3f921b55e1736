// Mistakes: the confusion matrix as a way in, and the images behind each cell.
import { get } from "../api/client";
import type { EvaluationView, MistakePage, RunEntry } from "../api/types";
import { Empty, Failure, Waiting } from "../components/notice";
import { Pager } from "../components/pager";
import { sheetAddress, Tile } from "../components/tiles";
import { useFetched } from "../lib/hooks";
import { change, usePlace } from "../lib/router";
import { count, percent, plural } from "../lib/wording";

export function MistakesPage() {
  const { params } = usePlace();
  const runs = useFetched("runs", (signal) => get<RunEntry[]>("runs", {}, signal));
  if (runs.error) return <div class="page"><Failure error={runs.error} again={runs.again} /></div>;
  if (!runs.value) return <div class="page"><Waiting>Looking for runs…</Waiting></div>;
  const able = runs.value.filter((run) => run.accuracy !== null);
  const name = params.get("run") ?? able[0]?.name;
  if (!name) {
    return (
      <div class="page">
        <Empty title="No mistakes yet">
          <p>Nobody has tried anything here. Train a network; then this page shows what it gets wrong, and why that may be.</p>
          <a class="button primary" href="/train">
            Train a network
          </a>
        </Empty>
      </div>
    );
  }
  return (
    <div class="page mistakes">
      <header class="head">
        <h1>Mistakes</h1>
        <label class="field inline">
          <span>Run</span>
          <select
            value={name}
            onChange={(event) =>
              change({ run: event.currentTarget.value, true: null, predicted: null, page: null })
            }
          >
            {able.every((run) => run.name !== name) && <option value={name}>{name}</option>}
            {able.map((run) => (
              <option key={run.name} value={run.name}>
                {run.name} ({run.recipe} on {run.data}, {percent(run.accuracy, run.test_images ?? 0)})
              </option>
            ))}
          </select>
        </label>
      </header>
      <Explorer key={name} run={name} />
    </div>
  );
}

function Explorer({ run }: { run: string }) {
  const { params } = usePlace();
  const path = `runs/${encodeURIComponent(run)}`;
  const truth = params.get("true");
  const predicted = params.get("predicted");
  const page = Math.max(0, Number(params.get("page") ?? 0) || 0);
  const evaluation = useFetched(run, (signal) =>
    get<EvaluationView>(`${path}/evaluation`, {}, signal),
  );
  const images = useFetched(
    evaluation.value ? `${truth} ${predicted} ${page}` : null,
    (signal) => get<MistakePage>(`${path}/images`, { true: truth, predicted, page }, signal),
  );
  const shape = useFetched(evaluation.value ? run : null, (signal) =>
    get<{ image_shape: number[] }>("data/view", { data: `run:${run}` }, signal),
  );

  if (evaluation.error) return <Failure error={evaluation.error} again={evaluation.again} />;
  if (!evaluation.value) return <Waiting>Reading all test images…</Waiting>;
  const view = evaluation.value;
  const wrong = view.confusion.reduce(
    (sum, row, label) => sum + row.reduce((inner, cell) => inner + cell, 0) - row[label]!,
    0,
  );
  return (
    <div class="mistakes-grid">
      <section class="card" aria-label="Confusion matrix">
        <dl class="facts">
          <div>
            <dt>Test accuracy</dt>
            <dd>{percent(view.accuracy, view.images)}</dd>
          </div>
          <div>
            <dt>Read wrongly</dt>
            <dd>
              {count(wrong)} of {count(view.images)}
            </dd>
          </div>
        </dl>
        <Confusion view={view} truth={truth} predicted={predicted} />
        <p class="fine">
          Rows are what it is, columns what was read. Choose a cell to see its images.
        </p>
      </section>
      <section class="card" aria-label="Images">
        <div class="seen-head">
          <h2>{heading(view, truth, predicted)}</h2>
          {(truth !== null || predicted !== null) && (
            <button
              type="button"
              class="button small"
              onClick={() => change({ true: null, predicted: null, page: null })}
            >
              All mistakes
            </button>
          )}
        </div>
        {images.error ? (
          <Failure error={images.error} again={images.again} />
        ) : shape.error ? (
          <Failure error={shape.error} again={shape.again} />
        ) : !images.value || !shape.value ? (
          <Waiting>Fetching images…</Waiting>
        ) : images.value.total === 0 ? (
          <Empty title="None">
            <p>
              {truth === null && predicted === null
                ? "Every test image was read rightly. That is rare; is the test split too easy?"
                : "No test image fell into this cell."}
            </p>
          </Empty>
        ) : (
          <Gallery run={run} view={view} page={images.value} shape={shape.value.image_shape} />
        )}
      </section>
    </div>
  );
}

function heading(view: EvaluationView, truth: string | null, predicted: string | null): string {
  const name = (label: string) => view.class_names[Number(label)] ?? label;
  if (truth !== null && predicted !== null) {
    return truth === predicted
      ? `${name(truth)} read as ${name(predicted)}, the least sure first`
      : `${name(truth)} read as ${name(predicted)}`;
  }
  if (truth !== null) return `${name(truth)} read as something else`;
  if (predicted !== null) return `Read as ${name(predicted)}, but something else`;
  return "Worst errors first";
}

interface ConfusionProps {
  view: EvaluationView;
  truth: string | null;
  predicted: string | null;
}

function Confusion({ view, truth, predicted }: ConfusionProps) {
  const names = view.class_names;
  const mostWrong = Math.max(
    1,
    ...view.confusion.flatMap((row, label) => row.filter((_, column) => column !== label)),
  );
  // One stop for the Tab key, or a hundred cells would lie between it and the images.
  const home = { row: truth ?? "", column: predicted ?? "" };
  const stop = (row: number | string, column: number | string) =>
    String(row) === home.row && String(column) === home.column ? 0 : -1;
  const nothing = truth === null && predicted === null;
  return (
    <div
      class="scroll"
      role="region"
      aria-label="Confusion matrix. Arrow keys go from cell to cell."
    >
      <table
        class="confusion"
        style={{ "--classes": names.length }}
        onKeyDown={walk}
      >
        <caption class="hidden">
          Confusion matrix: rows are true classes, columns are read ones
        </caption>
        <thead>
          <tr>
            <td />
            {names.map((name, label) => (
              <th scope="col" key={name}>
                <button
                  type="button"
                  tabIndex={stop("", label)}
                  aria-pressed={truth === null && predicted === String(label)}
                  title={`Everything wrongly read as ${name}`}
                  onClick={() => change({ true: null, predicted: label, page: null })}
                >
                  {name}
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {view.confusion.map((row, label) => {
            const total = row.reduce((sum, cell) => sum + cell, 0);
            return (
              <tr key={names[label]}>
                <th scope="row">
                  <button
                    type="button"
                    tabIndex={stop(label, "")}
                    aria-pressed={predicted === null && truth === String(label)}
                    title={`${names[label]} read as anything else`}
                    onClick={() => change({ true: label, predicted: null, page: null })}
                  >
                    {names[label]}
                  </button>
                </th>
                {row.map((cell, column) => {
                  const right = label === column;
                  const strength = right ? (total ? cell / total : 0) : Math.sqrt(cell / mostWrong);
                  return (
                    <td key={names[column]}>
                      <button
                        type="button"
                        class={`cell ${right ? "right" : cell ? "off" : "zero"}`}
                        style={{ "--strength": strength.toFixed(3) }}
                        tabIndex={nothing && label + column === 0 ? 0 : stop(label, column)}
                        aria-pressed={truth === String(label) && predicted === String(column)}
                        aria-label={`${names[label]} read as ${names[column]}: ${plural(cell, "image")}`}
                        onClick={() => change({ true: label, predicted: column, page: null })}
                      >
                        {cell}
                      </button>
                    </td>
                  );
                })}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

/** Arrow keys, Home and End move the focus within the matrix, headings included. */
function walk(event: KeyboardEvent): void {
  const cell = (event.target as HTMLElement).closest<HTMLTableCellElement>("th, td");
  const row = cell?.parentElement as HTMLTableRowElement | null;
  const table = row?.closest("table");
  if (!cell || !row || !table) return;
  const [across, down] = [cell.cellIndex, row.rowIndex];
  const last = row.cells.length - 1;
  const places: Record<string, [number, number]> = {
    ArrowLeft: [across - 1, down],
    ArrowRight: [across + 1, down],
    ArrowUp: [across, down - 1],
    ArrowDown: [across, down + 1],
    Home: [1, down],
    End: [last, down],
  };
  const place = places[event.key];
  if (!place) return;
  event.preventDefault();
  table.rows[place[1]]?.cells[place[0]]?.querySelector("button")?.focus();
}

interface GalleryProps {
  run: string;
  view: EvaluationView;
  page: MistakePage;
  shape: number[];
}

function Gallery({ run, view, page, shape }: GalleryProps) {
  const names = view.class_names;
  const indices = page.images.map((image) => image.index);
  const sheet = sheetAddress(`run:${run}`, "test", indices);
  return (
    <>
      <Pager page={page.page} pageSize={page.page_size} total={page.total} noun="images" />
      {page.images.some((image) => image.label !== image.predicted) && (
        <p class="fine">
          First where the true class was thought least likely; the number is what the read one got.
        </p>
      )}
      <ul class="tiles gallery">
        {page.images.map((image, at) => {
          const wrong = image.label !== image.predicted;
          const target = new URLSearchParams({
            model: `run:${run}`,
            image: `run:${run}/test/${image.index}`,
          });
          return (
            <li key={image.index}>
              <a
                href={`/look?${target}`}
                aria-label={`Image ${image.index}: is ${names[image.label]}, read as ${names[image.predicted]} with ${percent(image.probability)}. Look inside`}
              >
                <Tile sheet={sheet} at={at} count={indices.length} shape={shape} />
                <span class="caption" aria-hidden="true">
                  {wrong ? (
                    <>
                      is <b class="for">{names[image.label]}</b>, read{" "}
                      <b class="against">{names[image.predicted]}</b>
                    </>
                  ) : (
                    <b class="for">{names[image.predicted]}</b>
                  )}{" "}
                  <small>{percent(image.probability)}</small>
                </span>
              </a>
            </li>
          );
        })}
      </ul>
    </>
  );
}
