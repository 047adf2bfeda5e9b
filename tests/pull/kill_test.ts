/**
 * kill -9 at any point of a pull: every blob under a final name is whole, every listed model verifies, what was fetched is
 * gone on from, and the last pull leaves nothing behind. `SECLLAMA_FULL=1` kills 60 times, else 5.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { listFolder } from "../../src/models/files.ts";
import { makeGguf, tensor } from "../../src/models/testing.ts";
import { ModelStore } from "../../src/models/store.ts";
import { pushModel, registryIgnored, startDockerRegistry } from "./docker_registry.ts";

const ROUNDS = Deno.env.get("SECLLAMA_FULL") === "1" ? 60 : 5;
const CHUNK_BYTES = 1024 * 1024;
const BIG_BYTES = 24 * CHUNK_BYTES + 4096;

const source = (path: string) => JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href);
/** Prints where it begins, then a byte for each event, slowly enough for the parent to hit the moment that it chose. */
const CHILD = `
import { parseHosts } from ${source("config/hosts.ts")};
import { ModelStore } from ${source("models/store.ts")};
import { pullModel } from ${source("pull/pull.ts")};
const [dir, name] = Deno.args;
const store = await ModelStore.open(dir);
const wait = new Int32Array(new SharedArrayBuffer(4));
let began = false;
let last = 0;
await pullModel(store, name, {
  policy: { registries: parseHosts(name.split("/")[0]), blobHosts: [] },
  maxBytes: 2 ** 40,
  chunkBytes: ${CHUNK_BYTES},
  signal: new AbortController().signal,
  onEvent(event) {
    if (event.status === "pulling" && event.totalBytes > 1e6 && !began) {
      began = true;
      Deno.stdout.writeSync(new TextEncoder().encode("at " + event.doneBytes + "\\n"));
    }
    if (event.status === "pulling" && event.doneBytes - last < 2e6) return;
    if (event.status === "pulling") last = event.doneBytes;
    Deno.stdout.writeSync(new TextEncoder().encode("."));
    Atomics.wait(wait, 0, 0, 10);
  },
});
`;

async function pullAndKill(
  script: string,
  store: string,
  name: string,
  afterDots: number,
  delayMs: number,
): Promise<{ killed: boolean; beganAt: number | undefined }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-lock",
      "--no-check",
      "--allow-net=127.0.0.1",
      "--allow-read",
      "--allow-write",
      script,
      store,
      name,
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk);
    if (text.replace(/at \d+\n/, "").length >= afterDots) break;
  }
  await new Promise((resolve) => setTimeout(resolve, delayMs));
  try {
    child.kill("SIGKILL");
  } catch {
    // It had finished: also a moment to survive.
  }
  const { signal } = await child.status;
  const at = /at (\d+)\n/.exec(text)?.[1];
  return { killed: signal === "SIGKILL", beganAt: at === undefined ? undefined : Number(at) };
}

Deno.test({
  name: "pull: kill -9 at any point leaves no half blob visible, and the next pull goes on",
  ignore: registryIgnored(),
  fn: async () => {
    await using registry = await startDockerRegistry();
    const dir = await Deno.makeTempDir({ prefix: "secllama-pull-kill-" });
    try {
      const script = join(dir, "child.ts");
      await Deno.writeTextFile(script, CHILD);
      const models = join(dir, "models");
      let killed = 0;
      let resumed = 0;
      let name = "";
      for (let round = 0; round < ROUNDS; round++) {
        // A model is killed three times, then another takes its place.
        if (round % 3 === 0) {
          const bytes = makeGguf({
            tensors: [tensor("token_embd.weight", [8, BIG_BYTES / 32], 0, 0)],
            dataBytes: BIG_BYTES,
            fill: round % 251,
          });
          name = `${registry.host}/me/m${round}:v1`;
          await pushModel(registry.host, `me/m${round}:v1`, [["model", bytes], ["system", "x"]]);
        }
        // Most kills hit the fetching, some the milliseconds of checking, syncing and renaming after it.
        const late = round % 4 === 3;
        const result = await pullAndKill(
          script,
          models,
          name,
          late ? 13 : 4 + round * 3 % 8,
          late ? round * 7 % 60 : 0,
        );
        if (result.killed) killed++;
        if ((result.beganAt ?? 0) >= CHUNK_BYTES && result.beganAt! < BIG_BYTES) resumed++;

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
      }
      assert.ok(killed >= ROUNDS / 4, `only ${killed} of ${ROUNDS} were killed in time`);
      assert.ok(resumed > 0, "no pull went on from where another was killed");

      const { killed: last } = await pullAndKill(script, models, name, Infinity, 0);
      assert.equal(last, false);
      const store = await ModelStore.open(models);
      await store.verify((await store.resolve(name)).digest);
      assert.deepEqual(await listFolder(join(models, "tmp")), []);
      console.log(
        `${killed} of ${ROUNDS} killed in time, ${resumed} went on from another's chunks`,
      );
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});
