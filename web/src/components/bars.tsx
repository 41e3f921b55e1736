// Probabilities of the classes, one bar each.
import { percent } from "../lib/wording";

interface BarsProps {
  names: string[];
  values: number[] | null;
  /** The class to point out; none if the answer is "not a digit". */
  best: number | null;
}

export function Bars({ names, values, best }: BarsProps) {
  return (
    <table class="bars">
      <caption class="hidden">Probability of each class</caption>
      <tbody>
        {names.map((name, index) => {
          const value = values?.[index] ?? 0;
          return (
            <tr key={name} class={index === best ? "best" : ""}>
              <th scope="row">{name}</th>
              <td class="track">
                <i style={{ transform: `scaleX(${value})` }} />
              </td>
              <td class="value">{values ? percent(value) : ""}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
