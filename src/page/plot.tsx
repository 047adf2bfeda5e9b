/// <reference lib="dom" />
/** Figures as a small plot: a bar each, the newest last. What it shows is said in words too. */

const WIDTH = 300;
const HEIGHT = 48;
/** Bars that are drawn. */
const MOST = 60;

export function Plot({ title, unit, values }: {
  title: string;
  unit: string;
  values: readonly number[];
}) {
  const shown = values.slice(-MOST);
  if (shown.length === 0) return null;
  const [least, most] = [Math.min(...shown), Math.max(...shown)];
  const bar = WIDTH / Math.max(shown.length, 12);
  const said =
    `${title}: ${shown.length === 1 ? "" : `${least.toFixed(1)} to ${most.toFixed(1)}, `}` +
    `the last ${shown.at(-1)!.toFixed(1)} ${unit}`;
  return (
    <figure class="plot">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={said}>
        {shown.map((value, i) => {
          const height = Math.max(1, most === 0 ? 0 : value / most * HEIGHT);
          return (
            <rect
              key={i}
              x={(i * bar).toFixed(1)}
              y={(HEIGHT - height).toFixed(1)}
              width={Math.max(1, bar - 1.5).toFixed(1)}
              height={height.toFixed(1)}
            >
              <title>{`${value.toFixed(1)} ${unit}`}</title>
            </rect>
          );
        })}
      </svg>
      <figcaption class="soft">{said}</figcaption>
    </figure>
  );
}
