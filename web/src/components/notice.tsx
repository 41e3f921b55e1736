// Empty, loading and error states.
import type { ComponentChildren } from "preact";

export function Failure({ error, again }: { error: Error; again?: (() => void) | undefined }) {
  return (
    <div class="notice failure" role="alert">
      <p>{error.message}</p>
      {again && (
        <button type="button" class="button small" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

export function Waiting({ children }: { children: ComponentChildren }) {
  return (
    <div class="notice waiting" role="status">
      <span class="spinner" aria-hidden="true" />
      <p>{children}</p>
    </div>
  );
}

interface EmptyProps {
  title: string;
  children?: ComponentChildren;
  art?: ComponentChildren;
}

export function Empty({ title, children, art }: EmptyProps) {
  return (
    <div class="empty">
      {art && <div class="art">{art}</div>}
      <h2>{title}</h2>
      {children}
    </div>
  );
}
