/**
 * Decoders are what strangers' bytes meet first. Pictures and sounds of every format, changed by a seeded generator (cut, grown, bits
 * turned, sizes made huge, pieces doubled and swapped), are read in a process of their own, as a runner would. What may happen: it is
 * read, or refused; at worst that process ends, and then the file is told by its number. 100 pictures in a plain run, 100,000 with
 * SECLLAMA_FULL=1; of sounds fewer.
 */
import assert from "node:assert/strict";
import { canSee } from "../testing.ts";
import type { MutatedAnswer, MutatedOrder } from "./testing_mutated_run.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
/** Each sound is made half a minute long and taken apart into tones, a tenth of a second's work. */
const COUNTS = { picture: FULL ? 100_000 : 100, sound: FULL ? 10_000 : 30 } as const;
const PROGRAM = new URL("./testing_mutated_run.ts", import.meta.url).pathname;

async function run(order: MutatedOrder): Promise<{ answer: MutatedAnswer; ended: string }> {
  const { code, signal, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--config", "tests/deps.json", "--frozen", PROGRAM]
      .concat(JSON.stringify(order)),
    cwd: new URL("../../../", import.meta.url).pathname,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).output();
  const lines = new TextDecoder().decode(stdout).trim().split("\n");
  const answer: MutatedAnswer = JSON.parse(lines.at(-1)!);
  return { answer, ended: signal ?? (code === 0 ? "" : `code ${code}`) };
}

for (const kind of ["picture", "sound"] as const) {
  const COUNT = COUNTS[kind];
  Deno.test({
    name: `${COUNT} mutated ${kind}s are read or refused`,
    ignore: !canSee(),
    async fn() {
      const deaths: string[] = [];
      let read = 0, refused = 0;
      for (let from = 0; from < COUNT;) {
        const { answer, ended } = await run({ from, to: COUNT, seed: 1, kind });
        read += answer.read;
        refused += answer.refused;
        // It said where it was before each: the next one began after the one that ended it.
        if (ended !== "") deaths.push(`${kind} ${answer.at}: ${ended}`);
        else assert.equal(answer.at, COUNT);
        from = answer.at + (ended === "" ? 0 : 1);
      }
      console.error(`${read} were read, ${refused} refused, ${deaths.length} ended their process`);
      assert.equal(read + refused + deaths.length, COUNT);
      // Both ways are taken, or the generator makes nothing of interest.
      assert.ok(read > COUNT / 20 && refused > COUNT / 20);
      assert.deepEqual(deaths, []);
    },
  });
}
