// Curves over epochs.
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { resolvedColor } from "../lib/colors";
import { useThemeVersion } from "../lib/hooks";
import { decimal, percent } from "../lib/wording";

export interface Curve {
  label: string;
  /** A CSS variable. */
  color: string;
  dashed?: boolean;
  points: [number, number | null][];
}

interface ChartProps {
  title: string;
  curves: Curve[];
  kind: "loss" | "share";
  epochs: number;
}

const HEIGHT = 230;

export function Chart({ title, curves, kind, epochs }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const theme = useThemeVersion();
  const shape = curves.map((curve) => `${curve.label} ${curve.color}`).join("|");
  const last = useRef(epochs);
  last.current = epochs;

  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const muted = resolvedColor("--muted");
    const line = resolvedColor("--line");
    const font = `12px ${getComputedStyle(document.body).fontFamily}`;
    const write = (value: number | null) =>
      kind === "share" ? percent(value, 1000) : decimal(value);
    const axis = {
      stroke: muted,
      font,
      grid: { stroke: line, width: 1 },
      ticks: { stroke: line, width: 1, size: 4 },
    };
    const options: uPlot.Options = {
      width: element.clientWidth,
      height: HEIGHT,
      cursor: { y: false, points: { size: 7 } },
      hooks: { setCursor: [showNewest] },
      legend: { live: true },
      scales: {
        x: { time: false, range: (_, low, high) => [Math.min(low, 1), end(high, last.current)] },
        y: {
          range: (_, low, high) => {
            const room = 0.06 * (high - low || Math.abs(high) || 1);
            const top = kind === "share" ? Math.min(1, high + room) : high + room;
            return [Math.max(0, low - room), top];
          },
        },
      },
      axes: [
        { ...axis, incrs: [1, 2, 5, 10, 20, 50, 100, 200], size: 32 },
        {
          ...axis,
          size: 58,
          values: (_, ticks) =>
            ticks.map((tick) =>
              kind === "share" ? `${+(100 * tick).toFixed(2)}%` : String(+tick.toPrecision(3)),
            ),
        },
      ],
      series: [
        { label: "Epoch", value: (_, value) => (value === null ? "–" : String(+value.toFixed(2))) },
        ...curves.map((curve) => ({
          label: curve.label,
          stroke: resolvedColor(curve.color),
          width: 2,
          spanGaps: true,
          points: { show: curve.points.length < 60, size: 5 },
          value: (_: uPlot, value: number | null) => write(value),
          ...(curve.dashed ? { dash: [5, 4] } : {}),
        })),
      ],
    };
    plot.current = new uPlot(options, aligned(curves), element);
    showNewest(plot.current);
    const resized = new ResizeObserver(() =>
      plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }),
    );
    resized.observe(element);
    return () => {
      resized.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [shape, kind, theme]);

  useEffect(() => {
    plot.current?.setData(aligned(curves));
    showNewest(plot.current);
  }, [curves, epochs]);

  const newest = curves.map((curve) => {
    const value = curve.points.findLast(([, entry]) => entry !== null)?.[1];
    const text = kind === "share" ? percent(value, 1000) : decimal(value);
    return `${curve.label} ${text}`;
  });
  return (
    <figure class="chart">
      <figcaption>{title}</figcaption>
      <div ref={box} role="img" aria-label={`${title} over epochs; newest: ${newest.join(", ")}`} />
    </figure>
  );
}

/** Where the axis ends: at the last epoch, or nearer while most of the way is still to go. */
function end(newest: number, epochs: number): number {
  let place = Math.max(newest, epochs, 2);
  while (place > 10 && newest <= place / 2) place = Math.ceil(place / 2);
  return place;
}

/** Without a pointer over it the legend tells each curve's newest value. */
function showNewest(plot: uPlot | null): void {
  if (plot?.cursor.idx != null) return;
  const idxs = plot?.data.map((column) => [...column].findLastIndex((value) => value !== null));
  if (idxs) plot?.setLegend({ idxs });
}

/** uPlot takes one column of places and one of values for each curve. */
function aligned(curves: Curve[]): uPlot.AlignedData {
  const places = [...new Set(curves.flatMap((curve) => curve.points.map(([x]) => x)))];
  places.sort((a, b) => a - b);
  const columns = curves.map((curve) => {
    const known = new Map(curve.points);
    return places.map((x) => known.get(x) ?? null);
  });
  return [places, ...columns] as uPlot.AlignedData;
}
