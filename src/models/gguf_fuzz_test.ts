/**
 * Mutated GGUF files: each is refused with `bad-model` or accepted with tensors inside the file, in bounded time and
 * memory. `SECLLAMA_FULL=1` tries 10,000 of them, else a sample; the seed is printed on failure.
 */
import assert from "node:assert/strict";
import { SecLlamaError } from "../errors.ts";
import { describeModel } from "./describe.ts";
import { readGgufHeader } from "./gguf.ts";
import { makeGguf } from "./testing.ts";
import { processorMs } from "../../tests/support/patience.ts";
import { seeded } from "../../tests/support/seeds.ts";

const DEMO = new URL("../../models/demo.gguf", import.meta.url).pathname;
const FULL = Deno.env.get("SECLLAMA_FULL") === "1";

const INTERESTING = [
  0n,
  1n,
  0x7fn,
  0xffn,
  0x7fffffffn,
  0xffffffffn,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
];

/** One mutant of `base`: bytes flipped, numbers replaced, parts cut, doubled or swapped, within the header mostly. */
function mutate(base: Uint8Array, headerBytes: number, seed: number): Uint8Array {
  const rnd = seeded(seed);
  const pick = (n: number) => Math.floor(rnd() * n);
  let bytes = base.slice();
  for (let k = 1 + pick(4); k > 0; k--) {
    // Half of all mutations hit the first 2 KiB, where the numbers are.
    const span = Math.min(rnd() < 0.5 ? 2048 : headerBytes, bytes.length - 8);
    if (span <= 0) break;
    const at = pick(span);
    switch (pick(6)) {
      case 0:
        bytes[at]! ^= 1 << pick(8);
        break;
      case 1:
        bytes[at] = pick(256);
        break;
      case 2:
        new DataView(bytes.buffer).setBigUint64(at, INTERESTING[pick(INTERESTING.length)]!, true);
        break;
      case 3:
        new DataView(bytes.buffer).setUint32(at, Number(INTERESTING[pick(6)]!), true);
        break;
      case 4:
        bytes = bytes.slice(0, Math.max(1, rnd() < 0.5 ? at : pick(bytes.length)));
        break;
      default: {
        const n = 1 + pick(64);
        bytes.copyWithin(pick(span), at, at + n);
      }
    }
  }
  return bytes;
}

Deno.test("gguf: mutated files are refused or accepted, never anything else", async () => {
  const demo = await Deno.readFile(DEMO);
  const { dataOffset } = await readGgufHeader(demo);
  const small = makeGguf();
  const total = FULL ? 10_000 : 600;
  let refused = 0;
  let accepted = 0;
  let slowestMs = 0;
  for (let seed = 1; seed <= total; seed++) {
    const bytes = seed % 2 === 0
      ? mutate(demo, dataOffset, seed)
      : mutate(small, small.length, seed);
    const before = processorMs();
    try {
      const header = await readGgufHeader(bytes);
      describeModel(header);
      let data = 0;
      for (const n of header.bytesByType.values()) data += n;
      assert.ok(header.dataOffset + data <= bytes.length, `seed ${seed}: tensors leave the file`);
      accepted++;
    } catch (error) {
      if (!(error instanceof SecLlamaError)) throw new Error(`seed ${seed}`, { cause: error });
      assert.equal(error.code, "bad-model", `seed ${seed}`);
      refused++;
    }
    slowestMs = Math.max(slowestMs, processorMs() - before);
  }
  console.log(
    `${total} mutants: ${refused} refused, ${accepted} accepted, ${slowestMs | 0} ms at most`,
  );
  // Both must happen, or the mutations test nothing.
  assert.ok(
    refused > total / 4 && accepted > total / 50,
    `${refused} refused, ${accepted} accepted`,
  );
  assert.ok(slowestMs < 10_000, "a number in the file decides how long it takes");
});
