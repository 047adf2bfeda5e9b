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
  readonly #values = new Map<string, { head: string; value: number }>();

  constructor(name: string, help: string) {
    this.family = { name, help, type: "counter" };
  }

  add(labels: Labels, by = 1): void {
    const key = JSON.stringify(labels);
    let row = this.#values.get(key);
    if (row === undefined) {
      if (isFull(this.#values.size, labels)) return this.add(othersOf(labels), by);
      row = { head: headOfSample(this.family.name, labels), value: 0 };
      this.#values.set(key, row);
    }
    row.value += by;
  }

  /** The family's lines. */
  *lines(): Generator<string> {
    yield* headOf(this.family);
    for (const { head, value } of this.#values.values()) yield head + value;
  }
}

/** How many were at most so large, by label. */
export class Histogram {
  readonly family: Family;
  readonly #bounds: readonly number[];
  /** What stands before each number is made once: there are many, and a scrape writes them all. */
  readonly #values = new Map<
    string,
    { heads: string[]; sumHead: string; countHead: string; counts: number[]; sum: number }
  >();

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
      const { name } = this.family;
      row = {
        heads: [...this.#bounds.map(String), "+Inf"].map((le) =>
          headOfSample(`${name}_bucket`, { ...labels, le })
        ),
        sumHead: headOfSample(`${name}_sum`, labels),
        countHead: headOfSample(`${name}_count`, labels),
        counts: this.#bounds.map(() => 0).concat(0),
        sum: 0,
      };
      this.#values.set(key, row);
    }
    const at = this.#bounds.findIndex((bound) => value <= bound);
    row.counts[at < 0 ? this.#bounds.length : at]!++;
    row.sum += value;
  }

  /** The family's lines: each bucket counts those below it, too. */
  *lines(): Generator<string> {
    yield* headOf(this.family);
    for (const { heads, sumHead, countHead, counts, sum } of this.#values.values()) {
      let total = 0;
      for (let i = 0; i < counts.length; i++) {
        total += counts[i]!;
        yield heads[i]! + total;
      }
      yield sumHead + sum;
      yield countHead + total;
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
  for (const [labels, value] of values) yield headOfSample(name, labels) + value;
}

function* headOf({ name, help, type }: Family): Generator<string> {
  yield `# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}`;
  yield `# TYPE ${name} ${type}`;
}

/** A sample's line without its number. */
function headOfSample(name: string, labels: Labels): string {
  const inner = Object.entries(labels).map(([key, text]) => `${key}="${escaped(text)}"`).join(",");
  return `${name}${inner === "" ? "" : `{${inner}}`} `;
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
