// The frame around every page.
import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "./api/client";
import type { StudioState } from "./api/types";
import { Icon } from "./components/icons";
import { Empty, Failure, Waiting } from "./components/notice";
import { useFetched } from "./lib/hooks";
import { go, usePlace } from "./lib/router";
import { StudioContext } from "./lib/studio";
import { DataPage } from "./pages/data";
import { DrawPage } from "./pages/draw";
import { LookPage } from "./pages/look";
import { MistakesPage } from "./pages/mistakes";
import { TrainPage } from "./pages/train";

const PAGES = [
  { path: "/", title: "Draw", icon: "draw", view: DrawPage },
  { path: "/look", title: "Look inside", icon: "look", view: LookPage },
  { path: "/train", title: "Train", icon: "train", view: TrainPage },
  { path: "/data", title: "Data", icon: "data", view: DataPage },
  { path: "/mistakes", title: "Mistakes", icon: "mistakes", view: MistakesPage },
] as const;

export function App() {
  const { path, params } = usePlace();
  const studio = useFetched("state", (signal) => get<StudioState>("state", {}, signal));
  const page = PAGES.find((entry) => entry.path === path);
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);

  useEffect(() => {
    document.title = page ? `${page.title} · penmark studio` : "penmark studio";
    // After a click on a link the reader's place is the new page, not the old link.
    if (!first.current) main.current?.focus({ preventScroll: true });
    first.current = false;
  }, [path]);

  useEffect(() => {
    const follow = (event: MouseEvent) => {
      const link = (event.target as Element).closest?.("a");
      const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey;
      if (!link || !plain || link.target || link.origin !== location.origin) return;
      if (!PAGES.some((entry) => entry.path === link.pathname) || link.hash) return;
      event.preventDefault();
      go(link.pathname + link.search);
    };
    addEventListener("click", follow);
    return () => removeEventListener("click", follow);
  }, []);

  const View = page?.view;
  return (
    <>
      <a class="skip" href="#main">
        Skip to the page
      </a>
      <header class="bar">
        <a class="brand" href="/">
          <img src="/icon.svg" alt="" width="26" height="26" />
          <span>penmark</span>
        </a>
        <nav aria-label="Pages">
          {PAGES.map((entry) => (
            <a
              key={entry.path}
              href={linkTo(entry.path, params)}
              aria-current={entry.path === path ? "page" : undefined}
            >
              <Icon name={entry.icon} />
              <span>{entry.title}</span>
              {entry.path === "/train" && studio.value?.training && (
                <i class="pulse" title="A training is running" />
              )}
            </a>
          ))}
        </nav>
        <ThemeSwitch />
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        {!View ? (
          <div class="page">
            <Empty title="There is no such page">
              <a class="button primary" href="/">
                Draw something
              </a>
            </Empty>
          </div>
        ) : studio.error && !studio.value ? (
          <div class="page">
            <Failure error={studio.error} again={studio.again} />
          </div>
        ) : !studio.value ? (
          <div class="page">
            <Waiting>Opening the studio…</Waiting>
          </div>
        ) : (
          <StudioContext.Provider value={{ ...studio.value, refresh: studio.again }}>
            <View />
          </StudioContext.Provider>
        )}
      </main>
    </>
  );
}

/** Links between pages keep what both understand: the network, the run, the drawing. */
function linkTo(path: string, params: URLSearchParams): string {
  const kept = new URLSearchParams();
  const names = path === "/" || path === "/look" ? ["model", "ink", "digit"] : [];
  for (const name of names) {
    const value = params.get(name);
    if (value) kept.set(name, value);
  }
  const text = kept.toString();
  return text ? `${path}?${text}` : path;
}

const THEMES = ["auto", "light", "dark"] as const;
type Theme = (typeof THEMES)[number];

function ThemeSwitch() {
  const [theme, setTheme] = useState<Theme>(
    () => (document.documentElement.dataset.theme as Theme | undefined) ?? "auto",
  );
  function choose(next: Theme): void {
    setTheme(next);
    if (next === "auto") {
      delete document.documentElement.dataset.theme;
      localStorage.removeItem("penmark-theme");
    } else {
      document.documentElement.dataset.theme = next;
      localStorage.setItem("penmark-theme", next);
    }
    dispatchEvent(new Event("themechange"));
  }
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]!;
  const names = { auto: "as the system", light: "light", dark: "dark" };
  return (
    <button
      type="button"
      class="theme"
      aria-label={`Theme: ${names[theme]}. Change to ${names[next]}`}
      title={`Theme: ${names[theme]}`}
      onClick={() => choose(next)}
    >
      <Icon name={theme} />
    </button>
  );
}
