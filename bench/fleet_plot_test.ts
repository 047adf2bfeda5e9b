import assert from "node:assert/strict";
import { GROWTH, growthPlot, PICTURE, type Point } from "./fleet_plot.ts";

Deno.test("the picture of a fleet's growth is of the run that is kept, with what a host holds", async () => {
  const { points } = JSON.parse(await Deno.readTextFile(GROWTH)) as { points: Point[] };
  const drawn = growthPlot(points);
  assert.equal(await Deno.readTextFile(PICTURE), drawn);
  for (const chart of ["over hosts", "over clients (two hosts)", "over clients (1,000 hosts)"]) {
    assert.ok(drawn.includes(chart), chart);
  }
  assert.match(drawn, /MiB that it holds: to the power of (0\.9|1\.0)\d/);
  const other = points.map((point) => ({ ...point, hostMiB: point.hostMiB * 2 }));
  assert.notEqual(growthPlot(other), drawn, "control");
});

Deno.test("a chart without points is left out, and what is not there is no line", () => {
  const point = { ms: 1, kib: 1, readMs: 1, hostMiB: 0 };
  const drawn = growthPlot([
    { hosts: 2, clients: 1_000, ...point },
    { hosts: 2, clients: 10_000, ...point },
  ]);
  assert.ok(!drawn.includes("over hosts") && !drawn.includes("NaN") && !drawn.includes("Infinity"));
  assert.ok(!drawn.includes("MiB that it holds"));
});
