import assert from "node:assert/strict";
import { covers } from "./files.ts";
import { addressOfName, isHostName } from "./names.ts";

Deno.test("tls: names", () => {
  for (const name of ["a", "a.b", "a-1.example", "10.0.0.1", "::1", "fd00::5", "x1.2y"]) {
    assert.ok(isHostName(name), name);
  }
  for (
    const name of [
      "",
      "A",
      "a..b",
      "-a",
      "a-",
      "*.x",
      "1.2.3",
      "1.2.3.256",
      "a_b",
      "a:1",
      "a/b",
      "x.1",
      ":::",
    ]
  ) {
    assert.ok(!isHostName(name), name);
  }
  assert.equal(addressOfName("fd00::1:5")!.toHex(), "fd000000000000000000000000010005");
  assert.ok(covers(["fd00:0:0:0:0:0:0:5"], "fd00::5"));
  assert.ok(!covers(["10.0.0.5"], "10.0.0.50"));
});
