/** `serve` over a real Secret Service: the first run makes the key, a rotation needs no restart, a locked store makes nothing. */
import assert from "node:assert/strict";
import { keyringIgnored, startKeyring } from "../keyring/daemon.ts";
import { chat, cli, startServe } from "../support/serve.ts";
import { until } from "../support/patience.ts";

const QUESTION = "Where are my keys?";

Deno.test({
  name: "keyring: the first serve makes the key; rotations by another process need no restart",
  ignore: keyringIgnored(),
  fn: async () => {
    await using keyring = await startKeyring({ password: "correct horse" });
    const dataDir = await Deno.makeTempDir({ prefix: "secllama-test-data-" });
    const env = { ...keyring.env, SECLLAMA_DATA_DIR: dataDir };
    const served = await startServe({ env, args: [] });
    try {
      assert.match(served.banner, /key +.*[0-9a-f]{16}.*Secret Service/);
      const first = JSON.parse((await cli(["key", "status", "--json"], { env })).stdout);
      assert.equal(first.encrypted_at_rest ?? first.encryptedAtRest, "yes", JSON.stringify(first));
      assert.equal((await chat(served.proxyUrl, QUESTION)).status, 200);

      // An exchange that is under way when the key rotates ends under the key it began with.
      const long = fetch(`${served.proxyUrl}/api/generate`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          model: "demo",
          prompt: "numbers",
          stream: false,
          format: { type: "array", items: { type: "integer" }, minItems: 60 },
          options: { num_predict: 500 },
        }),
      });
      const rotated = await cli(["key", "rotate", "--json"], { env });
      assert.equal(rotated.code, 0, rotated.stderr);
      const through = await long;
      assert.equal(through.status, 200);
      await through.body?.cancel();
      // The proxy still holds the old key's document; it goes on, and a fresh client uses the new key.
      for (let i = 0; i < 3; i++) assert.equal((await chat(served.proxyUrl, QUESTION)).status, 200);
      const list = JSON.parse((await cli(["key", "list", "--json"], { env })).stdout);
      assert.equal(list.keys.length, 2);
      const old = list.keys.find((k: { state: string }) => k.state === "decrypt-only");

      // Once the old key is gone the proxy is refused, rereads the store, and goes on under the new one.
      const gone = await cli(["key", "delete", old.kid, "--yes"], { env });
      assert.equal(gone.code, 0, gone.stderr);
      // The gateway looks for changes by itself.
      await until(
        async () => (await chat(served.proxyUrl, QUESTION)).status === 200,
        "the proxy goes on under the new key",
      );
    } finally {
      await served.stop();
      await Deno.remove(dataDir, { recursive: true });
    }
  },
});

Deno.test({
  name:
    "keyring: serve over a locked store makes no key, and --ephemeral-fallback does not fall back",
  ignore: keyringIgnored(),
  fn: async () => {
    await using keyring = await startKeyring({ password: "correct horse" });
    const dataDir = await Deno.makeTempDir({ prefix: "secllama-test-data-" });
    const env = { ...keyring.env, SECLLAMA_DATA_DIR: dataDir };
    await keyring.restartDaemon(null); // after a reboot, before anybody has logged in
    for (const more of [[], ["--ephemeral-fallback"]]) {
      const refused = await cli(["serve", "--no-proxy", "--port=0", ...more], { env });
      assert.equal(refused.code, 4, refused.stderr);
      assert.match(refused.stderr, /error: .*locked/);
    }
    assert.deepEqual(
      [...Deno.readDirSync(dataDir)].map((e) => e.name).filter((n) => n === "keyset.json"),
      [],
    );
    await Deno.remove(dataDir, { recursive: true });
  },
});
