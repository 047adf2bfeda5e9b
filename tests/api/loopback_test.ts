import assert from "node:assert/strict";
import { BlockList, isIP } from "node:net";
import { addressBytes, isLoopbackHost } from "../../src/loopback.ts";

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8);
LOOPBACK.addAddress("::1", "ipv6");

/** Node's own judgement of an address; false for what is none. */
function byNode(text: string): boolean {
  const family = isIP(text);
  return family !== 0 && LOOPBACK.check(text, family === 4 ? "ipv4" : "ipv6");
}

Deno.test("loopback: hosts as people write them, as Node judges them", () => {
  const parts = [
    "127",
    "0",
    "1",
    "255",
    "256",
    "10",
    "",
    "::1",
    "::",
    "ffff",
    "0:0:0:0:0:0:0:1",
    "::ffff:",
  ];
  let seen = 0;
  for (const a of parts) {
    for (const b of parts) {
      for (const text of [a, `${a}.${b}.0.1`, `${a}${b}`, `${a}:${b}`, `::ffff:${a}.0.0.${b}`]) {
        seen += +byNode(text);
        assert.equal(isLoopbackHost(text), byNode(text), text);
      }
    }
  }
  assert.ok(seen > 5, String(seen));
});

Deno.test("loopback: brackets, names, and what only looks like it", () => {
  for (const yes of ["localhost", "LocalHost", "[::1]", "127.1.2.3"]) {
    assert.ok(isLoopbackHost(yes), yes);
  }
  const no = [
    "localhost.example",
    "127.0.0.1.example",
    "127.0.0.1:80",
    "127.1",
    "0x7f.0.0.1",
    "[localhost",
    "",
    " 127.0.0.1",
    "127.0.0.1\n",
    "::1%lo",
    "0.0.0.0",
    "::",
  ];
  for (const text of no) assert.ok(!isLoopbackHost(text), JSON.stringify(text));
  assert.equal(addressBytes("::1").length, 16);
});
