/** Pulling from Debian's docker-registry: whole, resumed, pinned, and again. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { readDefaults } from "../../src/models/defaults.ts";
import { listFolder } from "../../src/models/files.ts";
import { makeGguf, tensor } from "../../src/models/testing.ts";
import { ModelPolicy } from "../../src/models/policy.ts";
import { ModelStore } from "../../src/models/store.ts";
import { parseHosts } from "../../src/config/hosts.ts";
import { type PullEvent, pullModel, type PullOptions } from "../../src/pull/pull.ts";
import { pushModel, registryIgnored, startDockerRegistry } from "./docker_registry.ts";

/** A model of several chunks, the last one short. */
const CHUNK_BYTES = 1024 * 1024;
const BIG_BYTES = 24 * CHUNK_BYTES + 4096;
const bigModel = (fill: number) =>
  makeGguf({
    tensors: [tensor("token_embd.weight", [8, BIG_BYTES / 32], 0, 0)],
    dataBytes: BIG_BYTES,
    fill,
  });

function options(host: string, more: Partial<PullOptions> = {}): PullOptions {
  return {
    policy: { registries: parseHosts(host)!, blobHosts: [] },
    maxBytes: 2 ** 40,
    signal: new AbortController().signal,
    backoffMs: 1,
    chunkBytes: CHUNK_BYTES,
    ...more,
  };
}

Deno.test({
  name: "pull: from Debian's docker-registry",
  ignore: registryIgnored(),
  fn: async (t) => {
    await using registry = await startDockerRegistry();
    const { host } = registry;
    const dir = await Deno.makeTempDir({ prefix: "secllama-pull-" });
    try {
      const digest = await pushModel(host, "me/mine:v1", [
        ["model", bigModel(1)],
        ["template", "{{ .Prompt }}"],
        ["system", "Be kind."],
        ["params", { temperature: 0.5, stop: ["<end>"] }],
        ["messages", [{ role: "user", content: "Hi" }]],
        ["license", "MIT"],
      ]);
      const store = await ModelStore.open(join(dir, "models"));
      const name = `${host}/me/mine:v1`;

      await t.step("one that no rule approves gets no name here, until one does", async () => {
        const policyFile = join(dir, "policy.json");
        const approve = (digests: readonly string[]) =>
          Deno.writeTextFile(
            policyFile,
            JSON.stringify({ version: 1, allow: [{ names: ["*"], digests }] }),
          );
        await approve([`sha256:${"0".repeat(64)}`]);
        const strict = await ModelStore.open(join(dir, "strict"), {
          policy: new ModelPolicy(policyFile),
        });
        const pulled = () => pullModel(strict, `${host}/me/mine:v1`, options(host));
        await assert.rejects(pulled(), { code: "model-not-approved" });
        assert.deepEqual(await strict.list(), []);
        await approve([digest]);
        await pulled();
        assert.equal((await strict.list()).length, 1);
        await Deno.remove(join(dir, "strict"), { recursive: true });
      });

      await t.step("a whole model, with its texts, under its own digest", async () => {
        const events: PullEvent[] = [];
        const { model, unchanged } = await pullModel(store, name, {
          ...options(host),
          onEvent: (event) => events.push(event),
        });
        assert.equal(unchanged, false);
        assert.equal(`sha256:${model.manifestDigest}`, digest);
        await store.verify(model.digest);
        const { system, options: set } = await readDefaults(store, model);
        assert.deepEqual([system, set], ["Be kind.", { temperature: 0.5, stop: ["<end>"] }]);
        assert.deepEqual(await listFolder(join(dir, "models/partial")), []);
        const big = events.filter((e) => e.status === "pulling" && e.digest === model.digest);
        assert.deepEqual(big.at(-1), {
          status: "pulling",
          digest: model.digest,
          totalBytes: model.sizeBytes,
          doneBytes: model.sizeBytes,
        });
        assert.ok(big.length > 4);
        const again = await pullModel(store, name, options(host));
        assert.equal(again.unchanged, true);
      });

      await t.step("pinned: this manifest and no other", async () => {
        const moved = await pushModel(host, "me/mine:v1", [["model", makeGguf({ fill: 9 })]]);
        const pinned = await pullModel(store, `${name}@${digest}`, options(host));
        assert.equal(`sha256:${pinned.model.manifestDigest}`, digest);
        const { model } = await pullModel(store, name, options(host));
        assert.equal(`sha256:${model.manifestDigest}`, moved);
        for (const bad of ["@sha256:0", "@latest", `@sha256:${"g".repeat(64)}`, "@"]) {
          await assert.rejects(pullModel(store, name + bad, options(host)), {
            code: "bad-model-name",
          });
        }
        await assert.rejects(
          pullModel(store, `${name}@sha256:${"0".repeat(64)}`, options(host)),
          { code: "model-not-found" },
        );
      });

      await t.step("cancelled, it goes on where it was", async () => {
        await pushModel(host, "me/other:v1", [["model", bigModel(2)]]);
        const stop = new AbortController();
        await assert.rejects(
          pullModel(store, `${host}/me/other:v1`, {
            ...options(host, { signal: stop.signal }),
            onEvent(event) {
              if (event.status === "pulling" && event.doneBytes > 12 * CHUNK_BYTES) stop.abort();
            },
          }),
          { code: "cancelled" },
        );
        await assert.rejects(store.resolve(`${host}/me/other:v1`), { code: "model-not-found" });
        const first: number[] = [];
        const { model } = await pullModel(store, `${host}/me/other:v1`, {
          ...options(host),
          onEvent: (event) =>
            event.status === "pulling" && event.totalBytes > BIG_BYTES &&
            first.push(event.doneBytes),
        });
        assert.ok(first[0]! >= 6 * CHUNK_BYTES, `began again at ${first[0]}`);
        await store.verify(model.digest);
      });

      await t.step("what is not there, and what is too large", async () => {
        await assert.rejects(pullModel(store, `${host}/me/none:v1`, options(host)), {
          code: "model-not-found",
          message: /not found in the registry/,
        });
        await assert.rejects(
          pullModel(store, `${host}/me/other:v1`, options(host, { maxBytes: BIG_BYTES })),
          { code: "pull-refused", hint: /SECLLAMA_MAX_MODEL_SIZE/ },
        );
        await assert.rejects(pullModel(store, `${host}/me/mine:v1`, options("other.example")), {
          code: "registry-not-allowed",
          exitCode: 9,
          hint: /SECLLAMA_REGISTRIES/,
        });
      });
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});
