/**
 * One canonical name (tests/vectors/model_name.json): what the store looks up, what a key document authenticates, what a
 * runner compares and what policy, roles, fleet and engine go by are the same for every spelling.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import {
  fitsModel,
  isSameModel,
  parseModelName,
  tryParseModelName,
} from "../../src/api/model_name.ts";
import type { Config } from "../../src/config/config.ts";
import { type Candidate, placeFor } from "../../src/fleet/placement.ts";
import { mayAsk } from "../../src/keys/mod.ts";
import { manifestPath, nameOfManifestPath } from "../../src/models/names.ts";
import { ModelPolicy } from "../../src/models/policy.ts";
import { ModelStore } from "../../src/models/store.ts";
import { makeGguf } from "../../src/models/testing.ts";
import { usesEngine } from "../../src/supervisor/engine.ts";
import { seeded, seeds } from "../support/seeds.ts";
import { announcementMac, attest } from "../../src/sealed/key_document.ts";
import { toHex } from "../../src/bytes.ts";
import vectors from "./model_name.json" with { type: "json" };

const [BYTES_16, BYTES_32] = [new Uint8Array(16), new Uint8Array(32)];
const RUNNER = { hid: BYTES_16, rn: BYTES_32, gen: 1 };
const ANNOUNCED = { suite: 1, ...RUNNER, pk: BYTES_32, nbf: 0, exp: 1, now: 0 };

/** What host and runner say of a name in a key document: two names with the same are one to the client. */
function authenticated(model: string): string {
  const asked = { model, challenge: BYTES_16 };
  const word = attest(BYTES_32, { ...RUNNER, ...asked });
  const mac = announcementMac(ANNOUNCED, { runnerPsk: BYTES_32, attest: BYTES_32, ...asked });
  return `${toHex(word)} ${toHex(mac)}`;
}

Deno.test("model names: each vector, in the grammar, in the store and under the mac", () => {
  for (const { name, canonical } of vectors.names) {
    const at = JSON.stringify(name);
    const parsed = tryParseModelName(name);
    assert.equal(parsed?.canonical ?? null, canonical, at);
    if (canonical === null) {
      assert.throws(() => parseModelName(name), { code: "bad-model-name" }, at);
      assert.throws(() => authenticated(name), { code: "bad-model-name" }, at);
      continue;
    }
    // It means itself, and its path leads back to it.
    assert.equal(parseModelName(canonical).canonical, canonical, at);
    for (const os of ["linux", "windows"] as const) {
      assert.equal(nameOfManifestPath(manifestPath(parsed!, os), os)?.canonical, canonical, at);
    }
    assert.equal(authenticated(name), authenticated(canonical), at);
  }
});

Deno.test("model names: two are one to all, or to none", () => {
  const names = vectors.names.filter((row) => row.canonical !== null);
  for (const a of names) {
    for (const b of names) {
      const same = a.canonical === b.canonical;
      const at = `${a.name} and ${b.name}`;
      assert.equal(isSameModel(a.name, b.name), same, at);
      assert.equal(authenticated(a.name) === authenticated(b.name), same, at);
    }
  }
  for (const { name, canonical } of vectors.names) {
    if (canonical === null) assert.equal(isSameModel(name, name), false, JSON.stringify(name));
  }
});

const HOSTS = [
  "registry.ollama.ai",
  "registry.ollama.ai",
  "registry.ollama.ai",
  "hf.co",
  "localhost:5000",
  "library",
  "Registry.Example",
];
const SPACES = ["library", "me", "My-Team", "registry_ollama_ai"];
const MODELS = ["demo", "Llama-3.2-1B-GGUF", "x.y_z", "_a", "Qwen3"];
const TAGS = ["latest", "1b", "Q4_K_M", "v1.0"];

interface Parts {
  readonly host: string;
  readonly space: string;
  readonly model: string;
  readonly tag: string;
}

/** Written here a second time: what the parts of a name come to. */
function expected({ host, space, model, tag }: Parts): string {
  const [h, s, m, t] = [host, space, model, tag].map((part) => part.toLowerCase());
  if (h !== "registry.ollama.ai") return `${h}/${s}/${m}:${t}`;
  return s === "library" ? `${m}:${t}` : `${s}/${m}:${t}`;
}

/** The name as people write it: what may be left out is, or not, in any case of letters. */
function spellings(parts: Parts, random: () => number): string[] {
  const cased = (text: string) =>
    [...text].map((c) => random() < 0.3 ? c.toUpperCase() : random() < 0.5 ? c.toLowerCase() : c)
      .join("");
  const isDefault = parts.host.toLowerCase() === "registry.ollama.ai";
  const isLibrary = isDefault && parts.space.toLowerCase() === "library";
  const prefixes = [
    `${parts.host}/${parts.space}/`,
    ...(isDefault ? [`${parts.space}/`] : []),
    ...(isLibrary ? [""] : []),
  ];
  const tags = [`:${parts.tag}`, ...(parts.tag.toLowerCase() === "latest" ? [""] : [])];
  return prefixes.flatMap((prefix) => tags.map((tag) => cased(`${prefix}${parts.model}${tag}`)));
}

Deno.test("model names: every spelling is one model to store, list, policy, roles, fleet and engine", async () => {
  const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
  try {
    const random = seeded(seeds(1)[0]!);
    const pick = (list: readonly string[]) => list[Math.floor(random() * list.length)]!;
    const models = new Map<string, Parts>();
    for (const _ of Array(20)) {
      const parts = {
        host: pick(HOSTS),
        space: pick(SPACES),
        model: pick(MODELS),
        tag: pick(TAGS),
      };
      models.set(expected(parts), parts);
    }
    const store = await ModelStore.open(join(folder, "models"));
    const file = join(folder, "tiny.gguf");
    await Deno.writeFile(file, makeGguf());
    for (const { host, space, model, tag } of models.values()) {
      await store.importGguf(file, `${host}/${space}/${model}:${tag}`);
    }
    const listed = await store.list();
    assert.equal(listed.length, models.size);
    const policyFile = join(folder, "policy.json");
    const others = [...models.keys()];
    let count = 0;
    for (const [canonical, parts] of models) {
      const shown = listed.find(({ name }) => name.toLowerCase() === canonical)!.name;
      const other = others.find((one) => one !== canonical)!;
      for (const name of spellings(parts, random)) {
        const at = `${name} is ${canonical}, kept as ${shown}`;
        assert.equal(parseModelName(name).canonical, canonical, at);
        const resolved = await store.resolve(name);
        assert.equal(resolved.name, shown, at);
        assert.ok(
          await store.has(name) && await store.isCurrent(shown, resolved.manifestDigest),
          at,
        );
        assert.ok(isSameModel(name, shown) && !isSameModel(name, other), at);
        const role = { name: "staff", models: [name] };
        assert.deepEqual([canonical, shown, other].map((one) => mayAsk(role, one)), [
          true,
          true,
          // Without a tag a pattern means any.
          /:[^/]*$/.test(name) ? false : other.replace(/:[^/]*$/, "") ===
            canonical.replace(/:[^/]*$/, ""),
        ], at);
        await Deno.writeTextFile(
          policyFile,
          JSON.stringify({ version: 1, allow: [{ names: [name], digests: [resolved.digest] }] }),
        );
        await new ModelPolicy(policyFile).check(resolved, () => Promise.resolve(undefined));
        const host = {
          hid: "0".repeat(32),
          report: { active: 0, parallel: 1, models: [{ name: shown }] },
        };
        assert.ok(placeFor([host as unknown as Candidate], { client: "c", model: canonical }), at);
        const engine = { engine: "vllm", engineModels: [name] } as unknown as Config;
        assert.ok(usesEngine(engine, shown) && !usesEngine(engine, other), at);
        assert.equal(authenticated(name), authenticated(shown), at);
        count++;
      }
    }
    assert.ok(count > 20, String(count));
    // A name that is stored again under another spelling is the same one.
    const [first] = models.values();
    await store.importGguf(file, expected(first!).toUpperCase());
    assert.equal((await store.list()).length, models.size);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("model names: a pattern means what it says of the name, and no more", () => {
  const names = [
    "demo:latest",
    "demo:v2",
    "me/demo:latest",
    "hf.co/me/demo:1b",
    "library/me/x:latest",
  ];
  const written = (name: string) => {
    const { host, namespace, model, tag } = parseModelName(name);
    return `${host}/${namespace}/${model}:${tag}`;
  };
  const rows: [pattern: string, fits: readonly string[]][] = [
    ["*", names],
    ["demo", ["demo:latest", "demo:v2"]],
    ["DEMO:V2", ["demo:v2"]],
    ["d*", ["demo:latest", "demo:v2"]],
    ["l*", ["library/me/x:latest"]],
    ["r*", []],
    ["*:1b", ["hf.co/me/demo:1b"]],
    ["library/*", ["demo:latest", "demo:v2", "library/me/x:latest"]],
    ["library/demo", ["demo:latest", "demo:v2"]],
    ["registry.ollama.ai/*", ["demo:latest", "demo:v2", "me/demo:latest"]],
    ["registry.ollama.ai/me/*", ["me/demo:latest"]],
    ["registry.ollama.ai/library/demo:v2", ["demo:v2"]],
    ["me/*", ["me/demo:latest"]],
    ["hf.co/*", ["hf.co/me/demo:1b"]],
    ["*/demo", ["me/demo:latest", "hf.co/me/demo:1b"]],
  ];
  for (const [pattern, wanted] of rows) {
    assert.deepEqual(names.filter((name) => fitsModel(pattern, name)), wanted, pattern);
    if (!pattern.startsWith("registry")) continue;
    // As a regular expression has it, over names that are written out.
    const whole = pattern.replaceAll(".", "\\.").replaceAll("*", ".*");
    const as = new RegExp(`^${whole}${/:[^/]*$/.test(pattern) ? "" : "(:[^/]*)?"}$`, "i");
    assert.deepEqual(names.filter((name) => as.test(written(name))), wanted, pattern);
  }
  // A port is no tag.
  assert.ok(fitsModel("localhost:5000/me/x", "localhost:5000/me/x:latest"));
  const long = "a*".repeat(100);
  assert.equal(fitsModel(long, "a".repeat(255)), true);
  assert.equal(fitsModel(long + "b", "a".repeat(255)), false);
});
