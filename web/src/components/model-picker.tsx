// Which network answers.
import type { ModelEntry } from "../api/types";
import { change } from "../lib/router";
import { percent } from "../lib/wording";

export function ModelPicker({ models, model }: { models: ModelEntry[]; model: string }) {
  return (
    <label class="field inline">
      <span>Network</span>
      <select value={model} onChange={(event) => change({ model: event.currentTarget.value })}>
        {models.map((entry) => (
          <option key={entry.id} value={entry.id}>
            {modelTitle(entry)}
          </option>
        ))}
      </select>
    </label>
  );
}

export function modelTitle(entry: ModelEntry): string {
  const accuracy =
    entry.accuracy === null ? "" : `, ${percent(entry.accuracy, entry.test_images ?? 0)}`;
  return entry.recipe ? `${entry.title} (${entry.recipe} on ${entry.data}${accuracy})` : entry.title;
}
