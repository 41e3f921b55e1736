// What the studio has: fetched at the start and again when a training has ended.
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { StudioState } from "../api/types";

export interface Studio extends StudioState {
  refresh: () => void;
}

export const StudioContext = createContext<Studio | null>(null);

export function useStudio(): Studio {
  const studio = useContext(StudioContext);
  if (!studio) throw new Error("used outside the studio");
  return studio;
}
