// Every layer's output for one image, as the server packs it.

export interface LayerValues {
  low: number;
  high: number;
  bytes: Uint8Array;
}

interface HeaderEntry {
  name: string;
  low: number;
  high: number;
  size: number;
}

/** The header's length (4 bytes), the header in JSON, then a byte a value, layer after layer. */
export function unpack(packed: Uint8Array<ArrayBuffer>): Map<string, LayerValues> {
  const length = new DataView(packed.buffer).getUint32(0, true);
  const text = new TextDecoder().decode(packed.subarray(4, 4 + length));
  const layers = new Map<string, LayerValues>();
  let offset = 4 + length;
  for (const { name, low, high, size } of JSON.parse(text) as HeaderEntry[]) {
    layers.set(name, { low, high, bytes: packed.subarray(offset, offset + size) });
    offset += size;
  }
  return layers;
}

export function valueAt(layer: LayerValues, index: number): number {
  return layer.low + (layer.bytes[index]! / 255) * (layer.high - layer.low);
}

/** How a layer's numbers are laid out in a picture of tiles. */
export interface Tiling {
  units: number;
  columns: number;
  rows: number;
  /** Pixels of one tile. */
  width: number;
  height: number;
  /** Pixels between tiles. */
  gap: number;
}

/** Maps stand side by side; units without a place of their own become single pixels. */
export function tilingOf(shape: number[], aspect = 1.6): Tiling {
  const [height, width, units] =
    shape.length === 1
      ? [1, 1, shape[0]!]
      : shape.length === 2
        ? [shape[0]!, shape[1]!, 1]
        : (shape as [number, number, number]);
  const gap = shape.length === 1 ? 0 : 1;
  const columns = columnsFor(units, Math.sqrt(units * aspect * (height / width)));
  return { units, columns, rows: Math.ceil(units / columns), width, height, gap };
}

/** About as many columns as wanted, and without an unfinished last row where that can be. */
function columnsFor(units: number, wanted: number): number {
  const nearest = Math.max(1, Math.min(units, Math.round(wanted)));
  for (let off = 0; off <= 0.35 * wanted; off++) {
    for (const columns of [nearest + off, nearest - off]) {
      if (columns >= 1 && columns <= units && units % columns === 0) return columns;
    }
  }
  return nearest;
}

export function tilingSize({ columns, rows, width, height, gap }: Tiling): [number, number] {
  return [columns * (width + gap) - gap, rows * (height + gap) - gap];
}

/** Where a unit's tile begins. */
export function tileAt({ columns, width, height, gap }: Tiling, unit: number): [number, number] {
  return [(unit % columns) * (width + gap), Math.floor(unit / columns) * (height + gap)];
}
