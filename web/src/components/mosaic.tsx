// All maps or units of a layer in one picture, in which one can walk from unit to unit.
import { useEffect, useRef } from "preact/hooks";
import { tileAt, tilingSize, valueAt, type LayerValues, type Tiling } from "../lib/activations";
import { activationInk, AGAINST, isDark } from "../lib/colors";
import { useThemeVersion } from "../lib/hooks";
import { decimal } from "../lib/wording";

interface MosaicProps {
  tiling: Tiling;
  values: LayerValues | undefined;
}

/** The picture alone, for previews. */
export function MosaicPicture({ tiling, values }: MosaicProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const theme = useThemeVersion();
  const [width, height] = tilingSize(tiling);
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    const image = context.createImageData(width, height);
    if (values) fill(image.data, width, tiling, values);
    context.putImageData(image, 0, 0);
  }, [values, theme, width, height]);
  return <canvas ref={canvas} width={width} height={height} aria-hidden="true" />;
}

function fill(data: Uint8ClampedArray, width: number, tiling: Tiling, values: LayerValues): void {
  const ink = activationInk(isDark());
  const most = Math.max(Math.abs(values.low), Math.abs(values.high));
  const { bytes, low, high } = values;
  for (let unit = 0; unit < tiling.units; unit++) {
    const [left, top] = tileAt(tiling, unit);
    for (let y = 0; y < tiling.height; y++) {
      for (let x = 0; x < tiling.width; x++) {
        const byte = bytes[(y * tiling.width + x) * tiling.units + unit]!;
        const value = low + (byte / 255) * (high - low);
        const at = 4 * ((top + y) * width + left + x);
        data.set(value >= 0 ? ink : AGAINST, at);
        data[at + 3] = most > 0 ? 14 + (241 * Math.abs(value)) / most : 14;
      }
    }
  }
}

interface WalkProps extends MosaicProps {
  label: string;
  noun: string;
  unit: number | null;
  onUnit: (unit: number, pinned: boolean) => void;
}

export function MosaicWalk({ tiling, values, label, noun, unit, onUnit }: WalkProps) {
  const frame = useRef<HTMLDivElement>(null);
  const [width, height] = tilingSize(tiling);
  const at = unit === null ? null : tileAt(tiling, unit);

  function under(event: MouseEvent): number | null {
    const box = frame.current!.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * width;
    const y = ((event.clientY - box.top) / box.height) * height;
    const column = Math.floor(x / (tiling.width + tiling.gap));
    const row = Math.floor(y / (tiling.height + tiling.gap));
    const found = row * tiling.columns + column;
    return column >= 0 && column < tiling.columns && found >= 0 && found < tiling.units
      ? found
      : null;
  }

  function walk(event: KeyboardEvent): void {
    const now = unit ?? 0;
    const steps: Record<string, number> = {
      ArrowRight: now + 1,
      ArrowLeft: now - 1,
      ArrowDown: now + tiling.columns,
      ArrowUp: now - tiling.columns,
      Home: 0,
      End: tiling.units - 1,
    };
    const next = steps[event.key];
    if (next === undefined) return;
    event.preventDefault();
    onUnit(Math.min(Math.max(next, 0), tiling.units - 1), true);
  }

  return (
    <div
      ref={frame}
      class="mosaic"
      role="slider"
      tabIndex={0}
      aria-label={label}
      aria-valuemin={1}
      aria-valuemax={tiling.units}
      aria-valuenow={(unit ?? 0) + 1}
      aria-valuetext={unit === null ? `no ${noun} chosen` : spoken(noun, unit, tiling, values)}
      style={{ "--ratio": width / height }}
      onKeyDown={walk}
      onFocus={() => unit === null && onUnit(0, true)}
      onMouseMove={(event) => {
        const found = under(event);
        if (found !== null && found !== unit) onUnit(found, false);
      }}
      onClick={(event) => {
        const found = under(event);
        if (found !== null) onUnit(found, true);
      }}
    >
      <MosaicPicture tiling={tiling} values={values} />
      {at && (
        <span
          class="chosen"
          style={{
            left: `${(100 * at[0]) / width}%`,
            top: `${(100 * at[1]) / height}%`,
            width: `${(100 * tiling.width) / width}%`,
            height: `${(100 * tiling.height) / height}%`,
          }}
        />
      )}
    </div>
  );
}

function spoken(noun: string, unit: number, tiling: Tiling, values: LayerValues | undefined): string {
  const name = `${noun} ${unit + 1} of ${tiling.units}`;
  if (!values || tiling.width * tiling.height > 1) return name;
  return `${name}, activation ${decimal(valueAt(values, unit), 3)}`;
}
