// From page to page of a long list.
import { change } from "../lib/router";
import { count } from "../lib/wording";
import { Icon } from "./icons";

interface PagerProps {
  page: number;
  pageSize: number;
  total: number;
  noun: string;
}

export function Pager({ page, pageSize, total, noun }: PagerProps) {
  const pages = Math.max(1, Math.ceil(total / pageSize));
  const first = total ? page * pageSize + 1 : 0;
  const last = Math.min(total, (page + 1) * pageSize);
  const turn = (by: number) => change({ page: page + by || null });
  if (pages === 1) {
    return (
      <p class="pager">
        {count(total)} {total === 1 ? noun.replace(/s$/, "") : noun}
      </p>
    );
  }
  return (
    <nav class="pager" aria-label={`Pages of ${noun}`}>
      <button type="button" class="round" aria-label="Previous page" disabled={page <= 0} onClick={() => turn(-1)}>
        <Icon name="left" />
      </button>
      <span aria-live="polite">
        {count(first)}–{count(last)} of {count(total)} {noun}
      </span>
      <button
        type="button"
        class="round"
        aria-label="Next page"
        disabled={page >= pages - 1}
        onClick={() => turn(1)}
      >
        <Icon name="right" />
      </button>
    </nav>
  );
}
