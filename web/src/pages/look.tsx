// Look inside: every layer's activations for the drawn or chosen image, and each unit at work.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { bytesFor, get, getBytes, LatestOnly, sendBytes } from "../api/client";
import type { LayerEntry, NetworkView, UnitView } from "../api/types";
import { Bars } from "../components/bars";
import { Icon } from "../components/icons";
import { ModelPicker } from "../components/model-picker";
import { MosaicPicture, MosaicWalk } from "../components/mosaic";
import { Empty, Failure, Waiting } from "../components/notice";
import { Pad } from "../components/pad";
import { GrayPixels, largest, SignedPixels } from "../components/pixels";
import { tilingOf, unpack, valueAt, type LayerValues } from "../lib/activations";
import { useFetched, useSettled } from "../lib/hooks";
import { useReader } from "../lib/reader";
import { change, usePlace } from "../lib/router";
import { useStudio } from "../lib/studio";
import { count, decimal, percent, plural } from "../lib/wording";
import { decodeBytes, useSelectedDigit } from "./draw";

export function LookPage() {
  const studio = useStudio();
  const { params } = usePlace();
  const wanted = params.get("model");
  const model =
    studio.models.find((entry) => entry.id === wanted)?.id ??
    studio.default_model ??
    studio.models[0]?.id ??
    null;
  const network = useFetched(model, (signal) =>
    get<NetworkView>("network", { model }, signal),
  );

  if (!model) {
    return (
      <div class="page">
        <Empty title="No network to look into yet">
          <p>Train one first; then every layer of it shows here what it does.</p>
          <a class="button primary" href="/train">
            Train a network
          </a>
        </Empty>
      </div>
    );
  }
  return (
    <div class="page look">
      <header class="head">
        <h1>Look inside</h1>
        <ModelPicker models={studio.models} model={model} />
      </header>
      {network.error ? (
        <Failure error={network.error} again={network.again} />
      ) : !network.value ? (
        <Waiting>Opening the network…</Waiting>
      ) : network.value.reason ? (
        <Empty title="This one keeps its doors shut">
          <p>{network.value.reason}</p>
        </Empty>
      ) : (
        <Inside key={network.value.model.id} network={network.value} />
      )}
    </div>
  );
}

interface Image {
  bytes: Uint8Array<ArrayBuffer>;
  /** The pen's last change, or 0 for an image of a data set. */
  touched: number;
}

function Inside({ network }: { network: NetworkView }) {
  const { params } = usePlace();
  const model = network.model.id;
  const layers = network.layers.filter((layer) => layer.changes);
  const layer =
    network.layers.find((entry) => entry.name === params.get("layer")) ??
    layers.find((entry) => entry.view === "maps" || entry.view === "units") ??
    layers.at(-1)!;
  const source = params.get("image");
  const state = useReader(network.model.reads_digits ? model : null);
  const selected = useSelectedDigit(state.answer);
  const chosen = useFetched(source ? `${model} ${source}` : null, async () => imageBytes(source!));
  const drawn = state.answer?.digits[selected]?.prepared ?? null;

  const image = useMemo<Image | null>(() => {
    if (source) return chosen.value ? { bytes: chosen.value, touched: 0 } : null;
    return drawn ? { bytes: decodeBytes(drawn), touched: 1 } : null;
  }, [source, chosen.value, drawn]);
  const { values, error } = useActivations(model, image?.bytes ?? null);

  return (
    <>
      <div class="look-grid">
        <aside class="card look-input" aria-label="Image">
          {network.model.reads_digits && !source && (
            <Pad
              answer={state.answer}
              picture={state.picture}
              selected={selected}
              onSelect={(index) => change({ digit: index })}
            />
          )}
          <div class="look-seen">
            {image ? (
              <GrayPixels
                width={network.input_shape[1]!}
                height={network.input_shape[0]!}
                bytes={image.bytes}
                label="The image as it comes in"
              />
            ) : (
              <div class="blank" />
            )}
            <div>
              <ImageChooser network={network} source={source} />
            </div>
          </div>
          {state.error && !source && <Failure error={state.error} />}
          {chosen.error && <Failure error={chosen.error} again={chosen.again} />}
        </aside>
        <div class="look-main">
          <Pipeline
            layers={network.layers}
            current={layer.name}
            values={values}
            names={network.class_names}
          />
          {error ? (
            <Failure error={error} />
          ) : (
            <LayerView
              key={layer.name}
              network={network}
              layer={layer}
              values={values.get(sourceOf(network, layer))}
              image={image}
            />
          )}
        </div>
      </div>
      <p class="fine">
        {plural(network.parameters, "parameter")} in {plural(layers.length - 1, "layer")} that
        compute. Blue is above zero, vermilion below; the stronger the color, the larger the number.
      </p>
    </>
  );
}

/** "digits/test/12" of the address as an image's bytes. */
async function imageBytes(source: string): Promise<Uint8Array<ArrayBuffer>> {
  const [index, split, ...data] = source.split("/").reverse();
  return getBytes("data/image", { data: data.reverse().join("/"), split, index });
}

function ImageChooser({ network, source }: { network: NetworkView; source: string | null }) {
  const { model } = network;
  const [error, setError] = useState<Error | null>(null);
  async function random(): Promise<void> {
    const data = model.id.startsWith("run:") ? model.id : "digits";
    try {
      const page = await get<{ total: number }>("data/images", { data, split: "test" });
      change({
        image: `${data}/test/${Math.floor(Math.random() * page.total)}`,
        ink: null,
      });
      setError(null);
    } catch (problem) {
      setError(problem as Error);
    }
  }
  const name = source?.split("/").slice(-2).join(" image ");
  return (
    <>
      <p class="fine">
        {source
          ? `This is ${name} of the data.`
          : model.reads_digits
            ? "Draw, and the layers follow your pen. Or take an image of the data:"
            : "This network knows other things than digits. Take an image of its data:"}
      </p>
      <div class="buttons">
        <button type="button" class="button small" onClick={() => void random()}>
          <Icon name="dice" /> Random image
        </button>
        {source && model.reads_digits && (
          <button type="button" class="button small" onClick={() => change({ image: null })}>
            <Icon name="draw" /> Draw again
          </button>
        )}
      </div>
      {error && <Failure error={error} />}
    </>
  );
}

/** The newest activations: while one image is under way, only the newest other one waits. */
function useActivations(
  model: string,
  bytes: Uint8Array<ArrayBuffer> | null,
): { values: Map<string, LayerValues>; error: Error | null } {
  const [values, setValues] = useState(new Map<string, LayerValues>());
  const [error, setError] = useState<Error | null>(null);
  const requests = useRef<LatestOnly<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> | null>(null);
  useEffect(() => {
    requests.current = new LatestOnly(
      (input) => bytesFor("activations", { model }, input),
      (packed) => {
        setValues(unpack(packed));
        setError(null);
      },
      setError,
    );
  }, [model]);
  useEffect(() => {
    if (bytes) requests.current?.push(bytes);
    else setValues(new Map());
  }, [model, bytes]);
  return { values, error };
}

/** Layers that only pass numbers on show those of the layer before. */
function sourceOf(network: NetworkView, layer: LayerEntry): string {
  let index = network.layers.indexOf(layer);
  while (index > 0 && !network.layers[index]!.changes) index--;
  return network.layers[index]!.name;
}

interface PipelineProps {
  layers: LayerEntry[];
  current: string;
  values: Map<string, LayerValues>;
  names: string[];
}

function Pipeline({ layers, current, values, names }: PipelineProps) {
  const list = useRef<HTMLOListElement>(null);
  useEffect(() => {
    const card = list.current?.querySelector<HTMLElement>("[aria-current]");
    const box = list.current;
    if (card && box) box.scrollTo({ left: card.offsetLeft - box.clientWidth / 2 + card.offsetWidth / 2 });
  }, [current]);
  const index = layers.findIndex((layer) => layer.name === current);
  const step = (by: number) => change({ layer: layers[index + by]?.name, unit: null });
  return (
    <nav class="pipeline" aria-label="Layers">
      <button
        type="button"
        class="round"
        aria-label="Previous layer"
        disabled={index <= 0}
        onClick={() => step(-1)}
      >
        <Icon name="left" />
      </button>
      <ol ref={list}>
        {layers.map((layer) => (
          <li key={layer.name}>
            <button
              type="button"
              class={layer.changes ? "" : "passing"}
              aria-current={layer.name === current ? "step" : undefined}
              onClick={() => change({ layer: layer.name, unit: null })}
            >
              <Preview layer={layer} values={values.get(layer.name)} names={names} />
              <span>{layer.title}</span>
              <small>{layer.output_shape.join("×")}</small>
            </button>
          </li>
        ))}
      </ol>
      <button
        type="button"
        class="round"
        aria-label="Next layer"
        disabled={index >= layers.length - 1}
        onClick={() => step(1)}
      >
        <Icon name="right" />
      </button>
    </nav>
  );
}

interface PreviewProps {
  layer: LayerEntry;
  values: LayerValues | undefined;
  names: string[];
}

function Preview({ layer, values, names }: PreviewProps) {
  if (!layer.changes) return <span class="preview arrow" aria-hidden="true" />;
  if (layer.view === "probabilities") {
    const best = values ? argmax(values) : -1;
    return (
      <span class="preview verdict-small" aria-hidden="true">
        {best < 0 || !values ? "" : (names[best] ?? "").slice(0, 6)}
      </span>
    );
  }
  return (
    <span class="preview">
      <MosaicPicture tiling={tilingOf(layer.output_shape, 1)} values={values} />
    </span>
  );
}

function argmax(values: LayerValues): number {
  return values.bytes.indexOf(Math.max(...values.bytes));
}

interface LayerViewProps {
  network: NetworkView;
  layer: LayerEntry;
  values: LayerValues | undefined;
  image: Image | null;
}

function LayerView({ network, layer, values, image }: LayerViewProps) {
  const { params } = usePlace();
  const pinned = params.get("unit");
  const [hovered, setHovered] = useState<number | null>(null);
  const tiling = tilingOf(layer.output_shape);
  const maps = layer.view === "maps" || layer.view === "image";
  const noun = maps ? "map" : "unit";
  const asked = pinned === null ? NaN : Number(pinned);
  const unit = hovered ?? (asked >= 0 && asked < tiling.units ? asked : null);

  return (
    <section class="card layer" aria-label={layer.title}>
      <header>
        <h2>
          {layer.title} <code>{layer.name}</code>
        </h2>
        <dl class="facts">
          <div>
            <dt>Output</dt>
            <dd>{layer.output_shape.join("×")}</dd>
          </div>
          <div>
            <dt>Parameters</dt>
            <dd>{count(layer.parameters)}</dd>
          </div>
        </dl>
        <p>{layer.sentence}</p>
      </header>
      <div class="layer-grid" onMouseLeave={() => setHovered(null)}>
        <div class="layer-picture">
          {!image && params.has("image") ? (
            <Waiting>Fetching the image…</Waiting>
          ) : !image ? (
            <div class="notice">
              <p>Draw something, and its activations appear here.</p>
            </div>
          ) : layer.view === "probabilities" && values ? (
            <ClassBars
              network={network}
              values={values}
              unit={unit}
              onUnit={(next) => change({ unit: next })}
            />
          ) : (
            <MosaicWalk
              tiling={tiling}
              values={values}
              noun={noun}
              label={`${layer.title}: ${plural(tiling.units, noun)}. Arrow keys go from one to the next.`}
              unit={unit}
              onUnit={(next, pin) => {
                if (pin) {
                  setHovered(null);
                  change({ unit: next });
                } else setHovered(next);
              }}
            />
          )}
        </div>
        <UnitPanel network={network} layer={layer} unit={unit} image={image} noun={noun} />
      </div>
    </section>
  );
}

interface ClassBarsProps {
  network: NetworkView;
  values: LayerValues;
  unit: number | null;
  onUnit: (unit: number) => void;
}

function ClassBars({ network, values, unit, onUnit }: ClassBarsProps) {
  const names = network.class_names;
  const shares = [...values.bytes].map((_, index) => valueAt(values, index));
  return (
    <>
      <Bars names={names} values={shares} best={argmax(values)} />
      <div class="chips" role="group" aria-label="See which pixels speak for a class">
        {names.map((name, index) => (
          <button
            key={name}
            type="button"
            class="chip"
            aria-pressed={unit === index}
            onClick={() => onUnit(index)}
          >
            Why {name}?
          </button>
        ))}
      </div>
    </>
  );
}

interface UnitPanelProps {
  network: NetworkView;
  layer: LayerEntry;
  unit: number | null;
  image: Image | null;
  noun: string;
}

function UnitPanel({ network, layer, unit, image, noun }: UnitPanelProps) {
  const settledUnit = useSettled(unit, 90);
  const settledBytes = useSettled(image?.bytes ?? null, 150);
  const fetched = useFetched(
    settledUnit === null || !settledBytes
      ? null
      : `${layer.name} ${settledUnit} ${fingerprint(settledBytes)}`,
    () =>
      sendBytes<UnitView>(
        "POST",
        "unit",
        { model: network.model.id, layer: layer.name, number: settledUnit },
        settledBytes!,
      ),
  );
  if (!image) return null;
  if (unit === null) {
    return (
      <div class="unit-panel quiet">
        <p>
          {layer.view === "probabilities"
            ? "Choose a class to see which pixels speak for it and which against."
            : `Point at a ${noun}, tap it, or walk there with the arrow keys, to see its weights and the pixels that drive it.`}
        </p>
      </div>
    );
  }
  const view = fetched.value;
  const occlusion = view?.occlusion.flat() ?? [];
  const [height, width] = network.input_shape as [number, number];
  const name =
    layer.view === "probabilities"
      ? `what speaks for “${network.class_names[unit]}”`
      : `${noun} ${unit + 1}`;
  return (
    <div class="unit-panel" aria-live="polite" aria-busy={fetched.loading}>
      <h3>
        {name.charAt(0).toUpperCase() + name.slice(1)}
        {fetched.loading && <span class="spinner" aria-hidden="true" />}
      </h3>
      {fetched.error && <Failure error={fetched.error} />}
      {view && (
        <>
          <dl class="facts small">
            {layer.view === "maps" || layer.view === "image" ? (
              <>
                <div>
                  <dt>Mean</dt>
                  <dd>{decimal(view.value)}</dd>
                </div>
                <div>
                  <dt>Strongest</dt>
                  <dd>{decimal(view.strongest)}</dd>
                </div>
              </>
            ) : (
              <div>
                <dt>{layer.view === "probabilities" ? "Probability" : "Activation"}</dt>
                <dd>
                  {layer.view === "probabilities" ? percent(view.value) : decimal(view.value)}
                </dd>
              </div>
            )}
            {view.bias !== null && (
              <div>
                <dt>Bias</dt>
                <dd>{decimal(view.bias)}</dd>
              </div>
            )}
          </dl>
          <div class="unit-pictures">
            <figure>
              <GrayPixels width={width} height={height} bytes={faded(image.bytes)} label="Occlusion map">
                <div class="overlay">
                  <SignedPixels
                    width={width}
                    height={height}
                    values={occlusion}
                    label={`Which pixels drive this ${noun}`}
                  />
                </div>
              </GrayPixels>
              <figcaption>
                {largest(occlusion) > 0 ? (
                  <>
                    Pixels that drive it: covering the <b class="for">blue</b> ones lowers the{" "}
                    {view.measured}, covering the <b class="against">vermilion</b> ones raises it.
                  </>
                ) : (
                  `No pixel drives it: whatever is covered, the ${view.measured} stays the same.`
                )}
              </figcaption>
            </figure>
            {view.weights && <WeightPictures view={view} />}
          </div>
          {view.contributions.length > 0 && <Contributions view={view} />}
        </>
      )}
    </div>
  );
}

function WeightPictures({ view }: { view: UnitView }) {
  const weights = view.weights!;
  const limit = largest(weights.pictures.flat());
  const single = weights.pictures.length === 1;
  return (
    <figure class={single ? "" : "many"}>
      <div class="weights">
        {weights.pictures.map((picture, index) => (
          <SignedPixels
            key={index}
            width={weights.width}
            height={weights.height}
            values={picture}
            limit={limit}
            label={single ? "Its weights" : `Weights for input ${index + 1}`}
          />
        ))}
      </div>
      <figcaption>
        {single
          ? `Its weights, ${weights.height}×${weights.width}.`
          : `Its filter: ${weights.height}×${weights.width} weights for each of ${weights.pictures.length} maps.`}
      </figcaption>
    </figure>
  );
}

function Contributions({ view }: { view: UnitView }) {
  const most = Math.max(...view.contributions.map((entry) => Math.abs(entry.product)));
  return (
    <table class="contributions">
      <caption>What adds most to its sum</caption>
      <thead>
        <tr>
          <th scope="col">input</th>
          <th scope="col" class="number">
            value × weight
          </th>
          <th scope="col">
            <span class="hidden">as a bar</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {view.contributions.slice(0, 8).map((entry) => (
          <tr key={entry.source}>
            <th scope="row">{entry.source}</th>
            <td class="number">{decimal(entry.product, 3)}</td>
            <td class="track">
              <i
                class={entry.product > 0 ? "for" : "against"}
                style={{ transform: `scaleX(${Math.abs(entry.product) / most})` }}
              />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** The image at less than half its strength, so that the colors over it can be seen. */
function faded(bytes: Uint8Array): Uint8Array {
  return bytes.map((value) => value * 0.45);
}

/** Enough of an image to tell it from the one before. */
function fingerprint(bytes: Uint8Array): number {
  let hash = 0;
  for (const byte of bytes) hash = (hash * 31 + byte) | 0;
  return hash;
}
