import { useEffect, useRef, useState } from "preact/hooks";

export interface Loading<T> {
  value: T | null;
  error: Error | null;
  loading: boolean;
  again: () => void;
}

/** Something from the server, fetched anew when `key` changes; the old value stays meanwhile. */
export function useFetched<T>(
  key: string | null,
  fetcher: (signal: AbortSignal) => Promise<T>,
): Loading<T> {
  const [state, setState] = useState<{ key: string | null; value: T | null; error: Error | null }>({
    key: null,
    value: null,
    error: null,
  });
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    if (key === null) return undefined;
    const abort = new AbortController();
    fetcher(abort.signal).then(
      (value) => abort.signal.aborted || setState({ key, value, error: null }),
      (error) => abort.signal.aborted || setState({ key, value: null, error }),
    );
    return () => abort.abort();
  }, [key, attempt]);
  const current = key !== null && state.key === key;
  return {
    value: key === null ? null : state.value,
    error: current ? state.error : null,
    loading: key !== null && !current,
    again: () => setAttempt((count) => count + 1),
  };
}

/** The newest version of a function, for callbacks that outlive a render. */
export function useLatest<T>(value: T): { current: T } {
  const reference = useRef(value);
  reference.current = value;
  return reference;
}

/** A value that has not changed for so long. */
export function useSettled<T>(value: T, milliseconds: number): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), milliseconds);
    return () => clearTimeout(timer);
  }, [value, milliseconds]);
  return settled;
}

/** Counts up when the theme changes, so that canvases are drawn anew. */
export function useThemeVersion(): number {
  const [version, setVersion] = useState(0);
  useEffect(() => {
    const next = () => setVersion((count) => count + 1);
    const media = matchMedia("(prefers-color-scheme: dark)");
    media.addEventListener("change", next);
    addEventListener("themechange", next);
    return () => {
      media.removeEventListener("change", next);
      removeEventListener("themechange", next);
    };
  }, []);
  return version;
}
