// What is shown is what the address says, so that any view can be shared or reloaded.
import { useEffect, useState } from "preact/hooks";

export interface Place {
  path: string;
  params: URLSearchParams;
}

type Changes = Record<string, string | number | null | undefined>;

const listeners = new Set<() => void>();

// The token of a shared address has become a cookie by now; it must not travel on in links.
if (new URLSearchParams(location.search).has("token")) {
  const params = new URLSearchParams(location.search);
  params.delete("token");
  history.replaceState(null, "", hrefOf(location.pathname, params));
}

addEventListener("popstate", () => listeners.forEach((listener) => listener()));

export function usePlace(): Place {
  const [place, setPlace] = useState(here);
  useEffect(() => {
    const listener = () => setPlace(here());
    listeners.add(listener);
    listener();
    return () => void listeners.delete(listener);
  }, []);
  return place;
}

export function here(): Place {
  return { path: location.pathname, params: new URLSearchParams(location.search) };
}

/** Go to another page of the studio. */
export function go(href: string): void {
  history.pushState(null, "", href);
  listeners.forEach((listener) => listener());
  scrollTo(0, 0);
}

/** Change parameters of this view: null and "" remove one. */
export function change(changes: Changes, { replace = true } = {}): void {
  const { path, params } = here();
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") params.delete(name);
    else params.set(name, String(value));
  }
  const href = hrefOf(path, params);
  if (href === location.pathname + location.search) return;
  if (replace) history.replaceState(null, "", href);
  else history.pushState(null, "", href);
  listeners.forEach((listener) => listener());
}

export function hrefOf(path: string, params: URLSearchParams): string {
  const search = params.toString();
  return search ? `${path}?${search}` : path;
}
