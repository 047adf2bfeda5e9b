import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { ModelStore } from "./store.ts";

const MOST = 1000;

Deno.test("uploads: together they are no more than one may be, also those that come at once", async () => {
  const dir = await Deno.makeTempDir({ prefix: "secllama-uploads-" });
  try {
    const { uploads } = await ModelStore.open(dir);
    const release = Promise.withResolvers<void>();
    // All are under way before one of them ends.
    const add = (at: number) => {
      const bytes = new Uint8Array(300).fill(at);
      const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
      const body = async function* () {
        yield bytes.subarray(0, 100);
        await release.promise;
        yield bytes.subarray(100);
      };
      return uploads.add(digest, body(), MOST).then(() => 300, (error) => {
        assert.equal(error.code, "too-large");
        return 0;
      });
    };
    const all = Array.from({ length: 8 }, (_, at) => add(at));
    release.resolve();
    const taken = (await Promise.all(all)).reduce((a, b) => a + b, 0);
    assert.ok(taken > 0 && taken <= MOST, `${taken} bytes`);
    // What was refused takes nothing of the next.
    assert.equal(await add(9), taken + 300 <= MOST ? 300 : 0);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
