import assert from "node:assert/strict";
import { PairingStore } from "../clients/pairings.ts";
import { type Backend, BACKEND_NAMES } from "../stores/store.ts";
import { MemoryStore } from "../stores/testing_memory.ts";
import { managerAt, withFolder } from "../testing.ts";
import { mayUseStore } from "./destroy_all.ts";
import { KeyManager } from "./manager.ts";
import { ManifestFile } from "./manifest_file.ts";

class StoreOf extends MemoryStore {
  constructor(override readonly backend: Backend, readonly reachable = true) {
    super();
  }

  override async probe() {
    return { ...await super.probe(), reachable: this.reachable };
  }
}

const BACKENDS = Object.keys(BACKEND_NAMES) as Backend[];

/** The kinds of store that the folder's keys may be in. */
async function used(folder: string, reachable = true): Promise<Backend[]> {
  const found: Backend[] = [];
  for (const backend of BACKENDS) {
    if (await mayUseStore(new StoreOf(backend, reachable), folder)) found.push(backend);
  }
  return found;
}

Deno.test("destroy: a folder's keys are where its keyset says, whatever else the file holds", async () => {
  for (const backend of BACKENDS) {
    await withFolder(async (folder) => {
      assert.deepEqual(await used(folder), []);
      // A profile may be called as a store is.
      const profile = backend === "secret-service" ? "file" : "secret-service";
      const store = new StoreOf(backend);
      await new KeyManager({ file: new ManifestFile(folder), store, profile }).init();
      assert.deepEqual(await used(folder), [backend]);
    });
  }
});

Deno.test("destroy: pairings count as well", () =>
  withFolder(async (folder) => {
    await managerAt(folder, new StoreOf("file")).init();
    const pairings = new PairingStore(folder, new StoreOf("windows-credential-manager"));
    await pairings.add("secret-service", "https://x", "a pairing string");
    assert.deepEqual(await used(folder), ["windows-credential-manager", "file"]);
  }));

Deno.test("destroy: a damaged file may mean any store that answers", async () => {
  for (const name of ["keyset.json", "pairings.json"]) {
    await withFolder(async (folder) => {
      await Deno.writeTextFile(`${folder}/${name}`, '{"backend": "secret-service"');
      assert.deepEqual(await used(folder), BACKENDS);
      assert.deepEqual(await used(folder, false), []);
    });
  }
});
