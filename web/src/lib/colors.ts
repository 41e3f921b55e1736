// Colors that canvases need as numbers. Blue is for, vermilion against (Okabe and Ito).

export type Rgb = readonly [number, number, number];

export const FOR: Rgb = [0, 114, 178];
export const AGAINST: Rgb = [213, 94, 0];

export function isDark(): boolean {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

export function cssColor(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** A CSS variable as "rgb(...)", with light-dark() resolved. */
export function resolvedColor(name: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const color = getComputedStyle(probe).color;
  probe.remove();
  return color;
}

/** Strength of an activation as a color that goes from the page's own ground to full ink. */
export function activationInk(dark: boolean): Rgb {
  return dark ? [140, 205, 250] : [0, 74, 128];
}
