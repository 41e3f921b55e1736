// Watching a training: over a WebSocket that is opened again when it breaks.
import { useEffect, useState } from "preact/hooks";
import type { LiveUpdate } from "../api/types";

export interface Live {
  update: LiveUpdate | null;
  connected: boolean;
  /** There is no such run. */
  missing: boolean;
}

const NOTHING: Live = { update: null, connected: false, missing: false };
// The server's close code for a run that is not there.
const REFUSED = 1008;
const FIRST_WAIT_MS = 400;
const LONGEST_WAIT_MS = 4000;
const MOST_POINTS = 4000;

/** What a run's training reports; null before anything was heard. */
export function useLive(name: string | null, onEnd: () => void): Live {
  const [live, setLive] = useState<Live>(NOTHING);
  useEffect(() => {
    setLive(NOTHING);
    if (name === null) return undefined;
    let socket: WebSocket | null = null;
    let timer: ReturnType<typeof setTimeout>;
    let wait = FIRST_WAIT_MS;
    let ended = false;
    let left = false;
    let known: LiveUpdate | null = null;

    const open = () => {
      const scheme = location.protocol === "https:" ? "wss" : "ws";
      socket = new WebSocket(
        `${scheme}://${location.host}/api/runs/${encodeURIComponent(name)}/live`,
      );
      socket.onmessage = (event: MessageEvent<string>) => {
        wait = FIRST_WAIT_MS;
        known = merged(known, JSON.parse(event.data) as LiveUpdate);
        setLive({ update: known, connected: true, missing: false });
        if (!known.live && !ended) {
          ended = true;
          onEnd();
        }
      };
      socket.onclose = (event) => {
        if (ended || left) return;
        if (event.code === REFUSED) {
          setLive({ ...NOTHING, missing: true });
          return;
        }
        setLive((state) => ({ ...state, connected: false }));
        timer = setTimeout(open, wait);
        wait = Math.min(2 * wait, LONGEST_WAIT_MS);
      };
    };
    open();
    return () => {
      left = true;
      clearTimeout(timer);
      socket?.close();
    };
  }, [name]);
  return live;
}

function merged(old: LiveUpdate | null, next: LiveUpdate): LiveUpdate {
  if (!old || next.reset) return next;
  const rows = [...old.rows, ...next.rows];
  // Of epochs that are over only what they ended with is shown; and an epoch may be long.
  const done = rows.at(-1)?.["epoch"] ?? 0;
  let points = [...old.points, ...next.points].filter((point) => (point[0] ?? 0) > done);
  if (points.length > MOST_POINTS) points = points.filter((_, index) => index % 2 === 0);
  return {
    ...next,
    points,
    rows,
    examples: next.examples ?? old.examples,
  };
}
