/** Who pulls from a hostile registry: a store of its own, and what is looked at afterwards. */
import assert from "node:assert/strict";
import { HANG_MS } from "../support/patience.ts";
import { join } from "node:path";
import { utf8 } from "../../src/bytes.ts";
import { parseHosts } from "../../src/config/hosts.ts";
import { listFolder } from "../../src/models/files.ts";
import { makeGguf } from "../../src/models/testing.ts";
import { ModelStore } from "../../src/models/store.ts";
import { pullModel, type PullOptions } from "../../src/pull/pull.ts";
import { digestOf, type Layers } from "./docker_registry.ts";

/** A model that nothing is wrong with. */
export const GOOD: Layers = [["model", makeGguf()], ["system", "Be kind."]];

interface Victim {
  readonly dir: string;
  readonly store: ModelStore;
  /** Pulls `me/x:v1` as SecLlama does. */
  pull(host: string, more?: Partial<PullOptions> & { allow?: string; name?: string }): Promise<
    unknown
  >;
  /** No model, no blob and no file elsewhere came of it. */
  untouched(): Promise<void>;
}

async function withVictim(body: (victim: Victim) => Promise<void>): Promise<void> {
  const top = await Deno.makeTempDir({ prefix: "secllama-hostile-" });
  const dir = join(top, "deep/er/models");
  try {
    const store = await ModelStore.open(dir);
    await body({
      dir: top,
      store,
      pull: (host, { allow, name, ...more } = {}) =>
        pullModel(store, name ?? `${host}/me/x:v1`, {
          policy: { registries: parseHosts(allow ?? host)!, blobHosts: [] },
          maxBytes: 2 ** 40,
          signal: new AbortController().signal,
          backoffMs: 1,
          idleMs: HANG_MS,
          ...more,
        }),
      async untouched() {
        assert.deepEqual(await store.list(), []);
        assert.deepEqual(await listFolder(join(dir, "blobs")), []);
        const outside = (await listFolder(top)).map((entry) => entry.name);
        assert.deepEqual(outside.filter((name) => name !== "deep" && name !== "naive"), []);
      },
    });
  } finally {
    await Deno.remove(top, { recursive: true });
  }
}

/** A test whose attack meets a store of its own. */
export function attackTest(name: string, body: (victim: Victim) => Promise<void>): void {
  Deno.test(`pull, hostile: ${name}`, () => withVictim(body));
}

/** A manifest of hand-made descriptors. */
export const manifestOf = (layers: unknown, more: object = {}) =>
  utf8(JSON.stringify({
    schemaVersion: 2,
    mediaType: "application/vnd.docker.distribution.manifest.v2+json",
    config: { mediaType: "x", digest: digestOf(utf8("{}")), size: 2 },
    layers,
    ...more,
  }));

export const MODEL = "application/vnd.ollama.image.model";
