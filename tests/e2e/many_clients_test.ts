/**
 * A host with as many clients as there were allowed to be once, and with ten times as many: it starts, serves the last of them
 * under its oldest key, and goes on while the key is rotated and clients are revoked beside it.
 */
import assert from "node:assert/strict";
import { sealedFetch } from "../../src/client/mod.ts";
import { keysetHost } from "../support/keyset_host.ts";
import { startServe } from "../support/serve.ts";

for (const count of [1_000, 10_000]) {
  Deno.test(`clients: ${count} of them and two rotations; the key is rotated, and some are revoked, beside serve`, async () => {
    const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
    const host = await keysetHost(folder, count, 2);
    const served = await startServe(host.serve);
    try {
      /** A client that keeps what it is told to. */
      const clientOf = (i: number) => {
        let stored = host.client(i);
        const fetch = sealedFetch({
          gateway: served.gatewayUrl,
          credentials: () => Promise.resolve(stored),
          renewed: (credentials) => Promise.resolve(void (stored = credentials)),
          suite: 2,
        });
        return {
          kid: () => stored.pskId.split(".")[1],
          ask: async () => {
            const response = await fetch("/api/generate", {
              method: "POST",
              headers: { "content-type": "application/json" },
              body: JSON.stringify({ model: "demo", prompt: "Hi", options: { num_predict: 1 } }),
            });
            await response.text();
            return response.status;
          },
        };
      };
      const active = async () => (await host.manager.list())[0]!.kid;
      const [last, other] = [clientOf(count - 1), clientOf(count - 2)];
      assert.equal(await last.ask(), 200, "under its first key");
      assert.equal(last.kid(), await active());
      assert.equal(await last.ask(), 200, "under its newest");
      await host.manager.rotate();
      for (const client of [last, other, last, other]) assert.equal(await client.ask(), 200);
      assert.deepEqual([last.kid(), other.kid()], [await active(), await active()]);
      await host.manager.clients().revoke(`laptop ${count - 1}`);
      await assert.rejects(last.ask(), { code: "auth" });
      assert.equal(await other.ask(), 200);
    } finally {
      await served.stop();
      await Deno.remove(folder, { recursive: true });
    }
  });
}
