import assert from "node:assert/strict";
import { join } from "node:path";
import { SecLlamaError } from "../errors.ts";
import { ModelPolicy } from "../models/policy.ts";
import { ModelStore } from "../models/store.ts";
import { notReady, shared } from "./readiness.ts";

const DEMO = new URL("../../models/demo.gguf", import.meta.url).pathname;
const never = () => Promise.reject(new Error("not asked"));
const NO_LIMITS = { checkClients() {}, checkCounts() {} };
const MODELS = { list: never, resolve: never, approve: never };

Deno.test("readyz: however many ask, the model store is read once at a time", async () => {
  let reads = 0;
  const look = shared(() =>
    notReady({
      models: { ...MODELS, list: () => Promise.resolve((reads++, [])) },
      keys: { changes: () => Promise.reject(new Error("x")) },
      audit: undefined,
      limits: {
        checkClients() {
          throw new SecLlamaError("key-corrupt", "no list");
        },
        checkCounts() {
          throw new SecLlamaError("limits-failed", "no counts");
        },
      },
      fleet: { isFresh: false },
    })
  );
  const found = await Promise.all(Array.from({ length: 50 }, look));
  assert.deepEqual(found[49], [
    "models: model-not-found",
    "keys: internal",
    "clients: key-corrupt",
    "limits: limits-failed",
    "fleet: fleet-silent",
  ]);
  assert.equal(reads, 1);
  await look();
  assert.equal(reads, 2);
});

Deno.test("readyz: ready is who has a whole model that the policy lets be loaded", async () => {
  const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
  const file = join(folder, "policy.json");
  const policy = new ModelPolicy(file);
  let demos = 0;
  /** What lacks of a store with this policy; each has a folder of its own. */
  const lacks = async (text: string | undefined, options: { demo?: string; policy?: boolean }) => {
    if (text !== undefined) await Deno.writeTextFile(file, text);
    const models = await ModelStore.open(join(folder, `models-${demos++}`), {
      embeddedDemo: options.demo,
      ...(options.policy === false ? {} : { policy }),
    });
    const keys = { changes: () => Promise.resolve("") };
    return await notReady({ models, keys, audit: undefined, limits: NO_LIMITS, fleet: undefined });
  };
  const demo = DEMO;
  try {
    assert.deepEqual(await lacks(undefined, { demo, policy: false }), []);
    assert.deepEqual(await lacks(undefined, { policy: false }), ["models: model-not-found"]);
    assert.deepEqual(await lacks(undefined, { demo }), ["models: bad-config"], "no file");
    assert.deepEqual(await lacks("{}", { demo }), ["models: bad-config"]);
    const none = JSON.stringify({ version: 1, allow: [] });
    assert.deepEqual(await lacks(none, { demo }), ["models: model-not-approved"]);
    const { manifestDigest } = (await (await ModelStore.open(folder, { embeddedDemo: demo }))
      .list())[0]!;
    const digests = [`sha256:${manifestDigest}`];
    const some = JSON.stringify({ version: 1, allow: [{ names: ["*"], digests }] });
    assert.deepEqual(await lacks(some, { demo }), []);
    const junk = join(folder, "junk.gguf");
    await Deno.writeTextFile(junk, "junk");
    const [why] = await lacks(undefined, { demo: junk, policy: false });
    assert.match(why!, /^models: (bad-model|model-corrupt)$/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
