// Thumbnails cut out of one picture that the server lays out, 12 in a row.
import { address } from "../api/client";

const COLUMNS = 12;

export function sheetAddress(data: string, split: string, indices: number[]): string {
  return address("data/sheet", { data, split, indices: indices.join(",") });
}

interface TileProps {
  sheet: string;
  /** Its place in the sheet, and how many there are. */
  at: number;
  count: number;
  shape: number[];
}

/** One image of a sheet; what it shows is said by the text beside it. */
export function Tile({ sheet, at, count, shape }: TileProps) {
  const rows = Math.max(1, Math.ceil(count / COLUMNS));
  const column = at % COLUMNS;
  const row = Math.floor(at / COLUMNS);
  return (
    <span
      class="tile"
      aria-hidden="true"
      style={{
        aspectRatio: `${shape[1] ?? 1} / ${shape[0] ?? 1}`,
        backgroundImage: `url("${sheet}")`,
        backgroundSize: `${100 * COLUMNS}% ${100 * rows}%`,
        backgroundPosition: `${(100 * column) / (COLUMNS - 1)}% ${rows > 1 ? (100 * row) / (rows - 1) : 0}%`,
      }}
    />
  );
}
