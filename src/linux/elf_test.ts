/** ELF files of this machine, read in small pieces and as a whole, and broken ones. */
import assert from "node:assert/strict";
import { seeded } from "../../tests/support/seeds.ts";
import { elfNeeds, elfNeedsOf } from "./elf.ts";
import { notOn } from "../../tests/support/systems.ts";

const ignore = notOn("linux");
const of = (bytes: Uint8Array) => elfNeeds((at, length) => bytes.subarray(at, at + length));

Deno.test({
  name: "elf: what a program of this machine needs, by small reads and from memory alike",
  ignore,
  fn() {
    const needs = elfNeedsOf(Deno.execPath());
    assert.ok(needs?.needed.includes("libc.so.6"), JSON.stringify(needs));
    assert.match(needs?.interpreter ?? "", /\/ld-linux/);
    assert.deepEqual(of(Deno.readFileSync(Deno.execPath())), needs);
  },
});

Deno.test({
  name: "elf: any cut or changed head is read or refused, without a fault and without much memory",
  ignore,
  fn() {
    const whole = Deno.readFileSync("/bin/sh");
    const random = seeded(4711);
    const below = (most: number) => Math.floor(random() * most);
    for (let round = 0; round < 3000; round++) {
      const bytes = whole.slice(0, round % 3 === 0 ? below(1024) : whole.length);
      for (let change = 1 + below(4); change > 0; change--) bytes[below(1024)] = below(256);
      let read = 0;
      elfNeeds((at, length) => {
        read += length;
        return bytes.subarray(at, at + length);
      });
      assert.ok(read < 2 ** 26, String(read));
    }
  },
});
