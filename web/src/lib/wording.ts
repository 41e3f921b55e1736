// Numbers as people read them: the same rules as in the report.

/** A share as a percentage that rounds no flaw away: 100% and 0% are kept for exactly 1 and 0. */
export function percent(share: number | null | undefined, images = 0): string {
  if (share === null || share === undefined || !Number.isFinite(share)) return "–";
  if (share === 0 || share === 1) return `${share * 100}%`;
  const decimals = images >= 1000 ? 2 : 1;
  const step = 10 ** -decimals;
  const rounded = Number((100 * share).toFixed(decimals));
  if (rounded === 0) return `<${step.toFixed(decimals)}%`;
  return `${Math.min(rounded, 100 - step).toFixed(decimals)}%`;
}

export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : value.toLocaleString("en-US");
}

export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

export function decimal(value: number | null | undefined, digits = 4): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 10000 || size < 10 ** -digits)) return value.toExponential(2);
  return value.toFixed(size >= 100 ? 1 : digits);
}

export function seconds(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  if (value < 1) return `${(1000 * value).toFixed(0)} ms`;
  if (value < 60) return `${value.toFixed(1)} s`;
  const minutes = Math.floor(value / 60);
  return minutes < 60
    ? `${minutes} min ${Math.round(value % 60)} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
