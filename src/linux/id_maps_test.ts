import assert from "node:assert/strict";
import { isMapped } from "./id_maps.ts";

Deno.test("id maps: an id is known where one of the ranges holds it", () => {
  assert.ok(isMapped("         0          0 4294967295\n", 65432));
  assert.ok(isMapped(undefined, 65432));
  const rootless = "         0       1000          1\n         1     100000      65536\n";
  assert.ok(isMapped(rootless, 65432));
  assert.ok(isMapped(rootless, 65536));
  assert.ok(!isMapped(rootless, 65537));
  assert.ok(!isMapped("         0       1000          1\n", 65432));
  assert.ok(!isMapped("", 65432));
});
