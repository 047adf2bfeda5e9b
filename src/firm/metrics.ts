/** Counters and gauges in Prometheus's text format (version 0.0.4). Names of models and codes are labels; of clients nothing is. */

type Labels = Readonly<Record<string, string>>;

/** What a family of samples is. */
interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
}

/** Label sets of one family: more are counted as one, so that nobody can fill the memory with names. */
const MAX_SERIES = 500;
const OTHER = "other";

/** Adds up by label. */
export class Counter {
  readonly family: Family;
  readonly #values = new Map<string, { labels: Labels; value: number }>();

  constructor(name: string, help: string) {
    this.family = { name, help, type: "counter" };
  }

  add(labels: Labels, by = 1): void {
    const key = JSON.stringify(labels);
    let row = this.#values.get(key);
    if (row === undefined) {
      if (isFull(this.#values.size, labels)) return this.add(othersOf(labels), by);
      row = { labels, value: 0 };
      this.#values.set(key, row);
    }
    row.value += by;
  }

  /** The family's lines. */
  *lines(): Generator<string> {
    yield* headOf(this.family);
    for (const { labels, value } of this.#values.values()) {
      yield sample(this.family.name, labels, value);
    }
  }
}

/** How many were at most so large, by label. */
export class Histogram {
  readonly family: Family;
  readonly #bounds: readonly number[];
  readonly #values = new Map<string, { labels: Labels; counts: number[]; sum: number }>();

  /** @param bounds Upper bounds, ascending. */
  constructor(name: string, help: string, bounds: readonly number[]) {
    this.family = { name, help, type: "histogram" };
    this.#bounds = bounds;
  }

  observe(labels: Labels, value: number): void {
    const key = JSON.stringify(labels);
    let row = this.#values.get(key);
    if (row === undefined) {
      if (isFull(this.#values.size, labels)) return this.observe(othersOf(labels), value);
      row = { labels, counts: this.#bounds.map(() => 0).concat(0), sum: 0 };
      this.#values.set(key, row);
    }
    const at = this.#bounds.findIndex((bound) => value <= bound);
    row.counts[at < 0 ? this.#bounds.length : at]!++;
    row.sum += value;
  }

  /** The family's lines: each bucket counts those below it, too. */
  *lines(): Generator<string> {
    yield* headOf(this.family);
    const { name } = this.family;
    for (const { labels, counts, sum } of this.#values.values()) {
      let total = 0;
      for (const [i, count] of counts.entries()) {
        total += count;
        const le = i < this.#bounds.length ? String(this.#bounds[i]) : "+Inf";
        yield sample(`${name}_bucket`, { ...labels, le }, total);
      }
      yield sample(`${name}_sum`, labels, sum);
      yield sample(`${name}_count`, labels, total);
    }
  }
}

/** A gauge's lines, of what is there now. */
export function* gauge(
  name: string,
  help: string,
  values: readonly (readonly [labels: Labels, value: number])[],
): Generator<string> {
  yield* headOf({ name, help, type: "gauge" });
  for (const [labels, value] of values) yield sample(name, labels, value);
}

function* headOf({ name, help, type }: Family): Generator<string> {
  yield `# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}`;
  yield `# TYPE ${name} ${type}`;
}

function sample(name: string, labels: Labels, value: number): string {
  const inner = Object.entries(labels).map(([key, text]) => `${key}="${escaped(text)}"`).join(",");
  return `${name}${inner === "" ? "" : `{${inner}}`} ${value}`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

/** Whether one more label set would be too many; the set of all others always has room. */
function isFull(size: number, labels: Labels): boolean {
  return size >= MAX_SERIES && Object.values(labels).some((text) => text !== OTHER);
}

function othersOf(labels: Labels): Labels {
  return Object.fromEntries(Object.keys(labels).map((key) => [key, OTHER]));
}
