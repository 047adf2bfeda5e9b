/**
 * kill -9 at any point of an import: whatever moment it hits, every blob under a final name is whole, every listed model
 * verifies, and the next import removes what was left. `SECLLAMA_FULL=1` kills 100 times, else 8.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { makeGguf, tensor } from "./testing.ts";
import { listFolder } from "./files.ts";
import { ModelStore } from "./store.ts";

const ROUNDS = Deno.env.get("SECLLAMA_FULL") === "1" ? 100 : 8;
const MIB = 1024 * 1024;

/** Prints a byte for each MiB copied and waits a little, so that the parent can hit the moment that it chose. */
const CHILD = `
import { ModelStore } from ${JSON.stringify(new URL("./store.ts", import.meta.url).href)};
const [dir, file] = Deno.args;
const store = await ModelStore.open(dir);
const wait = new Int32Array(new SharedArrayBuffer(4));
await store.importGguf(file, "victim", {
  onProgress() {
    Deno.stdout.writeSync(new Uint8Array(1));
    Atomics.wait(wait, 0, 0, 10);
  },
});
`;

async function importAndKill(
  script: string,
  store: string,
  file: string,
  afterBytes: number,
  delayMs: number,
) {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-lock", "--no-check", "--allow-read", "--allow-write", script, store, file],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  let seen = 0;
  for await (const chunk of child.stdout) {
    seen += chunk.length;
    if (seen >= afterBytes) break;
  }
  await new Promise((resolve) => setTimeout(resolve, delayMs));
  try {
    child.kill("SIGKILL");
  } catch {
    // It had finished: also a moment to survive.
  }
  return (await child.status).signal === "SIGKILL";
}

Deno.test("store: kill -9 during import leaves no half blob visible", async () => {
  const dir = await Deno.makeTempDir({ prefix: "secllama-kill-" });
  try {
    const script = join(dir, "child.ts");
    await Deno.writeTextFile(script, CHILD);
    const models = join(dir, "models");
    const size = 8 * MIB;
    const file = join(dir, "big.gguf");
    let killed = 0;
    let leftovers = 0;
    for (let round = 0; round < ROUNDS; round++) {
      // Another file each round, so that a blob of an earlier one cannot pass for this one's.
      const bytes = makeGguf({
        tensors: [tensor("t", [8, size / 32], 0, 0)],
        dataBytes: size,
        fill: round % 251,
      });
      await Deno.writeFile(file, bytes);
      // Half of the kills hit the copy, half the milliseconds of syncing and renaming after it.
      const late = round % 2 === 1;
      const afterBytes = late ? 9 : 1 + round % 8;
      if (await importAndKill(script, models, file, afterBytes, late ? (round * 7) % 40 : 0)) {
        killed++;
      }

      const store = await ModelStore.open(models);
      for (const entry of await listFolder(join(models, "blobs"))) {
        const content = await Deno.readFile(join(models, "blobs", entry.name));
        const hex = createHash("sha256").update(content).digest("hex");
        assert.equal(entry.name, `sha256-${hex}`, `round ${round}`);
      }
      for (const row of await store.list()) {
        assert.equal(row.problem, undefined, `round ${round}`);
        await store.verify(row.digest);
      }
      leftovers += (await listFolder(join(models, "tmp"))).length;
    }
    assert.ok(killed >= ROUNDS / 4, `only ${killed} of ${ROUNDS} were killed in time`);
    assert.ok(leftovers > 0, "no kill hit an import in the middle: the test proves nothing");

    await Deno.writeFile(file, makeGguf());
    const store = await ModelStore.open(models);
    await store.importGguf(file, "victim");
    assert.deepEqual(await listFolder(join(models, "tmp")), []);
    assert.deepEqual((await store.list()).map((row) => row.name), ["victim:latest"]);
    // Only what the one model needs: its weights and its configuration.
    assert.equal((await listFolder(join(models, "blobs"))).length, 2);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("store: the temp file of a live import is not taken for a leftover", async () => {
  const dir = await Deno.makeTempDir({ prefix: "secllama-live-" });
  try {
    const file = join(dir, "big.gguf");
    const size = 4 * MIB;
    const shape = [8, size / 32];
    await Deno.writeFile(file, makeGguf({ tensors: [tensor("t", shape, 0, 0)], dataBytes: size }));
    const small = join(dir, "small.gguf");
    await Deno.writeFile(small, makeGguf());
    const models = join(dir, "models");
    const store = await ModelStore.open(models);
    let other: Promise<unknown> | undefined;
    const big = await store.importGguf(file, "big", {
      onProgress: () => other ??= store.importGguf(small, "small"),
    });
    await other;
    await store.verify(big.digest);
    assert.equal((await store.list()).length, 2);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
