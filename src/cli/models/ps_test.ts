import assert from "node:assert/strict";
import { psTable } from "./ps.ts";

Deno.test("cli ps: of a fleet each model is shown with the host that has it", () => {
  const model = {
    name: "demo:latest",
    digest: "91defb40fff9aa",
    size: 1000,
    size_vram: 0,
    expires_at: new Date(Date.now() + 3_600_000_000_000).toISOString(),
    context_length: 2048,
  };
  const row = ["demo:latest", "91defb40fff9", "1.0 kB", "100% CPU", "2048", "for ever"];
  const alone = psTable([model]);
  assert.deepEqual([alone.head.at(-1), alone.rows], ["UNTIL", [row]]);
  const fleet = psTable([model, { ...model, host: "gpu-2" }]);
  assert.deepEqual(
    [fleet.head.at(-1), fleet.rows],
    ["HOST", [[...row, ""], [...row, "gpu-2"]]],
  );
});
