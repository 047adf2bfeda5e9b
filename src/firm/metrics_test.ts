/** Prometheus's text format: escapes, buckets, bounds on labels. The whole of it is read by promtool in tests/e2e/metrics_test.ts. */
import assert from "node:assert/strict";
import { Counter, gauge, Histogram } from "./metrics.ts";

Deno.test("metrics: counters add up by label, and a text cannot end its label", () => {
  const counter = new Counter("a_total", "Of\nall \\ kinds.");
  counter.add({ model: "demo" });
  counter.add({ model: "demo" }, 2);
  counter.add({ model: 'x"} 1\n\\' });
  assert.deepEqual([...counter.lines()], [
    "# HELP a_total Of\\nall \\\\ kinds.",
    "# TYPE a_total counter",
    'a_total{model="demo"} 3',
    'a_total{model="x\\"} 1\\n\\\\"} 1',
  ]);
});

Deno.test("metrics: a bucket counts what is below it, too", () => {
  const histogram = new Histogram("t_seconds", "Time.", [1, 2]);
  for (const value of [0.5, 1, 1.5, 3]) histogram.observe({ m: "a" }, value);
  assert.deepEqual([...histogram.lines()].slice(2), [
    't_seconds_bucket{m="a",le="1"} 2',
    't_seconds_bucket{m="a",le="2"} 3',
    't_seconds_bucket{m="a",le="+Inf"} 4',
    't_seconds_sum{m="a"} 6',
    't_seconds_count{m="a"} 4',
  ]);
  assert.deepEqual([...gauge("g", "G.", [[{}, 1.5]])].at(-1), "g 1.5");
});

Deno.test("metrics: names without end do not fill the memory", () => {
  const counter = new Counter("a_total", "A.");
  for (let i = 0; i < 10_000; i++) counter.add({ model: `m${i}` });
  const lines = [...counter.lines()];
  assert.ok(lines.length < 600, `${lines.length} lines`);
  assert.match(lines.at(-1)!, /^a_total\{model="other"\} 9\d\d\d$/);
});
