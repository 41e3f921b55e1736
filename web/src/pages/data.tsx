// Data: browse a data set by class, find near duplicates, bring one's own.
import { useRef, useState } from "preact/hooks";
import { get, send } from "../api/client";
import type { DatasetEntry, DatasetView, DuplicatesView, ImagePage } from "../api/types";
import { Icon } from "../components/icons";
import { Empty, Failure, Waiting } from "../components/notice";
import { Pager } from "../components/pager";
import { sheetAddress, Tile } from "../components/tiles";
import { useFetched } from "../lib/hooks";
import { change, usePlace } from "../lib/router";
import { upload, type Sending } from "../lib/upload";
import { count, plural } from "../lib/wording";

export function DataPage() {
  const { params } = usePlace();
  const [version, setVersion] = useState(0);
  const list = useFetched(`data ${version}`, (signal) =>
    get<DatasetEntry[]>("data", {}, signal),
  );
  const again = () => setVersion((number) => number + 1);
  if (list.error) return <div class="page"><Failure error={list.error} again={list.again} /></div>;
  if (!list.value) return <div class="page"><Waiting>Looking for data…</Waiting></div>;
  const chosen = list.value.find((entry) => entry.id === params.get("data")) ?? list.value[0]!;

  return (
    <div class="page data">
      <header class="head">
        <h1>Data</h1>
        <Uploader onDone={again} />
      </header>
      <div class="chips" role="group" aria-label="Data sets">
        {list.value.map((entry) => (
          <button
            key={entry.id}
            type="button"
            class="chip"
            aria-pressed={entry.id === chosen.id}
            onClick={() => change({ data: entry.id, label: null, page: null, view: null }, { replace: false })}
          >
            {entry.title} {entry.uploaded && <small>yours</small>}
            {!entry.available && <small>not here</small>}
          </button>
        ))}
      </div>
      {chosen.available ? (
        <Browser key={chosen.id} entry={chosen} onRemoved={again} />
      ) : (
        <div class="card">
          <Empty title={`${chosen.title} is not on this computer`}>
            <p>{chosen.description}</p>
            <p>The studio fetches nothing by itself. Do it once, in a terminal:</p>
            <pre class="layout">penmark data show {chosen.id}</pre>
          </Empty>
        </div>
      )}
    </div>
  );
}

function Browser({ entry, onRemoved }: { entry: DatasetEntry; onRemoved: () => void }) {
  const { params } = usePlace();
  const data = entry.id;
  const split = params.get("split") === "train" ? "train" : "test";
  const label = params.get("label");
  const duplicates = params.get("view") === "duplicates";
  const page = Math.max(0, Number(params.get("page") ?? 0) || 0);
  const view = useFetched(data, (signal) => get<DatasetView>("data/view", { data }, signal));
  const images = useFetched(duplicates ? null : `${data} ${split} ${label} ${page}`, (signal) =>
    get<ImagePage>("data/images", { data, split, label, page }, signal),
  );
  const [error, setError] = useState<Error | null>(null);

  if (view.error) return <Failure error={view.error} again={view.again} />;
  if (!view.value) return <Waiting>Loading {entry.title}…</Waiting>;
  const { class_names: names, image_shape: shape } = view.value;
  const counts = split === "train" ? view.value.train_counts : view.value.test_counts;
  const most = Math.max(...counts, 1);

  async function remove(): Promise<void> {
    if (!confirm(`Remove ${entry.title} from this workspace? Its files are deleted.`)) return;
    try {
      await send("DELETE", "data", { data });
      change({ data: null });
      onRemoved();
    } catch (problem) {
      setError(problem as Error);
    }
  }

  return (
    <>
      <section class="card about" aria-label={entry.title}>
        <div>
          <p>{entry.description}</p>
          <p class="fine">
            {plural(sum(view.value.train_counts), "image")} to train on,{" "}
            {count(sum(view.value.test_counts))} to test on, {shape.join("×")} pixels,{" "}
            {plural(names.length, "class", "classes")}.
          </p>
        </div>
        <div class="buttons">
          <a class="button small" href={`/train?data=${encodeURIComponent(data)}`}>
            <Icon name="train" /> Train on it
          </a>
          {entry.uploaded && (
            <button type="button" class="button small" onClick={() => void remove()}>
              <Icon name="clear" /> Remove
            </button>
          )}
        </div>
        {view.value.findings.length > 0 && (
          <details class="findings">
            <summary>What was found in the files</summary>
            <pre tabIndex={0}>{view.value.findings.join("\n")}</pre>
          </details>
        )}
      </section>
      {error && <Failure error={error} />}
      <div class="data-grid">
        <section class="card" aria-label="Classes">
          <div class="seen-head">
            <h2>Classes</h2>
            <div class="chips" role="group" aria-label="Split">
              {(["test", "train"] as const).map((name) => (
                <button
                  key={name}
                  type="button"
                  class="chip"
                  aria-pressed={split === name}
                  onClick={() => change({ split: name === "test" ? null : name, page: null })}
                >
                  {name === "test" ? "Test" : "Training"}
                </button>
              ))}
            </div>
          </div>
          <ul class="classes">
            <li>
              <button
                type="button"
                aria-pressed={label === null && !duplicates}
                onClick={() => change({ label: null, page: null, view: null })}
              >
                <b>All</b>
                <span class="number">{count(sum(counts))}</span>
              </button>
            </li>
            {names.map((name, index) => (
              <li key={name}>
                <button
                  type="button"
                  aria-pressed={label === String(index) && !duplicates}
                  onClick={() => change({ label: index, page: null, view: null })}
                >
                  <b>{name}</b>
                  <span class="track">
                    <i style={{ transform: `scaleX(${counts[index]! / most})` }} />
                  </span>
                  <span class="number">{count(counts[index])}</span>
                </button>
              </li>
            ))}
            <li class="apart">
              <button
                type="button"
                aria-pressed={duplicates}
                onClick={() => change({ view: "duplicates", label: null, page: null })}
              >
                <b>Near duplicates</b>
              </button>
            </li>
          </ul>
        </section>
        <section class="card" aria-label={duplicates ? "Near duplicates" : "Images"}>
          {duplicates ? (
            <Duplicates data={data} split={split} view={view.value} />
          ) : images.error ? (
            <Failure error={images.error} again={images.again} />
          ) : !images.value ? (
            <Waiting>Fetching images…</Waiting>
          ) : (
            <Images data={data} split={split} page={images.value} view={view.value} />
          )}
        </section>
      </div>
    </>
  );
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

interface ImagesProps {
  data: string;
  split: string;
  page: ImagePage;
  view: DatasetView;
}

function Images({ data, split, page, view }: ImagesProps) {
  if (page.total === 0) {
    return (
      <Empty title="No images here">
        <p>This split has none of this class.</p>
      </Empty>
    );
  }
  const indices = page.images.map((image) => image.index);
  const sheet = sheetAddress(data, split, indices);
  return (
    <>
      <Pager page={page.page} pageSize={page.page_size} total={page.total} noun="images" />
      <ul class="tiles browse">
        {page.images.map((image, at) => (
          <li key={image.index}>
            <a
              href={`/look?image=${encodeURIComponent(`${data}/${split}/${image.index}`)}`}
              aria-label={`${view.class_names[image.label]}, image ${image.index}: look inside`}
            >
              <Tile sheet={sheet} at={at} count={indices.length} shape={view.image_shape} />
              <span class="caption" aria-hidden="true">
                <b>{view.class_names[image.label]}</b> <small>{image.index}</small>
              </span>
            </a>
          </li>
        ))}
      </ul>
    </>
  );
}

function Duplicates({ data, split, view }: { data: string; split: string; view: DatasetView }) {
  const found = useFetched(`${data} ${split}`, (signal) =>
    get<DuplicatesView>("data/duplicates", { data, split }, signal),
  );
  if (found.error) return <Failure error={found.error} again={found.again} />;
  if (!found.value) return <Waiting>Comparing all pairs…</Waiting>;
  const { pairs, compared, images } = found.value;
  const scope =
    compared < images ? `the first ${count(compared)} of ${count(images)}` : `all ${count(images)}`;
  if (pairs.length === 0) {
    return (
      <Empty title="No two are almost the same">
        <p>Compared {scope} images of this split with each other, as 16×16 thumbnails.</p>
      </Empty>
    );
  }
  const shown = pairs.slice(0, 60);
  const sheet = sheetAddress(
    data,
    split,
    shown.flatMap((pair) => [pair.index, pair.earlier]),
  );
  return (
    <>
      <p class="fine intro">
        {plural(pairs.length, "pair")} among {scope} images, the most alike first. Two labels that
        differ are worth a look: one of them may be wrong.
      </p>
      <ul class="pairs">
        {shown.map((pair, at) => {
          const differ = pair.label !== pair.earlier_label;
          return (
            <li key={pair.index} class={differ ? "miss" : ""}>
              <div>
                <Tile sheet={sheet} at={2 * at} count={2 * shown.length} shape={view.image_shape} />
                <Tile sheet={sheet} at={2 * at + 1} count={2 * shown.length} shape={view.image_shape} />
              </div>
              <span class="caption">
                <b>{view.class_names[pair.label]}</b>
                {differ && <b>and {view.class_names[pair.earlier_label]}</b>}
                <small>
                  {pair.index} and {pair.earlier}, correlation {pair.correlation.toFixed(3)}
                </small>
              </span>
            </li>
          );
        })}
      </ul>
    </>
  );
}

function Uploader({ onDone }: { onDone: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [files, setFiles] = useState<File[]>([]);
  const [name, setName] = useState("");
  const [sending, setSending] = useState<Sending | null>(null);
  const [error, setError] = useState<Error | null>(null);

  function chosen(list: FileList | null): void {
    const next = [...(list ?? [])];
    setFiles(next);
    setError(null);
    const first = next[0];
    if (first && !name) {
      setName((first.webkitRelativePath.split("/")[0] || first.name).replace(/\.zip$/i, ""));
    }
  }

  async function start(event: Event): Promise<void> {
    event.preventDefault();
    setError(null);
    setSending({ done: 0, total: files.length });
    try {
      const made = await upload(name.trim(), files, setSending);
      dialog.current?.close();
      setFiles([]);
      setName("");
      change({ data: made.id, label: null, page: null, view: null }, { replace: false });
      onDone();
    } catch (problem) {
      setError(problem as Error);
    } finally {
      setSending(null);
    }
  }

  return (
    <>
      <button type="button" class="button" onClick={() => dialog.current?.showModal()}>
        <Icon name="upload" /> Bring your own images
      </button>
      <dialog ref={dialog} class="dialog" aria-labelledby="upload-title">
        <form onSubmit={(event) => void start(event)}>
          <h2 id="upload-title">Your own images</h2>
          <p class="fine">
            One folder for each class, named after it, with the images in it; or a zip file of that.
            They stay in this workspace, on the computer where the studio runs.
          </p>
          <pre class="layout">{"photos/\n  cats/  1.jpg  2.jpg …\n  dogs/  1.jpg  2.jpg …"}</pre>
          <label class="field">
            <span>A folder</span>
            <input
              type="file"
              {...{ webkitdirectory: true }}
              multiple
              onChange={(event) => chosen(event.currentTarget.files)}
            />
          </label>
          <label class="field">
            <span>Or a zip file</span>
            <input type="file" accept=".zip" onChange={(event) => chosen(event.currentTarget.files)} />
          </label>
          <label class="field">
            <span>Name</span>
            <input
              class="text"
              value={name}
              maxLength={80}
              required
              onInput={(event) => setName(event.currentTarget.value)}
            />
          </label>
          {sending && (
            <Waiting>
              {sending.total > 1
                ? `${count(sending.done)} of ${count(sending.total)} files sent…`
                : "Sending, unpacking and checking…"}
            </Waiting>
          )}
          {error && <Failure error={error} />}
          <div class="buttons end">
            <button type="button" class="button" onClick={() => dialog.current?.close()}>
              Cancel
            </button>
            <button class="button primary" disabled={!files.length || !name.trim() || !!sending}>
              Upload
            </button>
          </div>
        </form>
      </dialog>
    </>
  );
}
