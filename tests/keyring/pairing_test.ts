/** Pairing over real key stores: a host and a laptop, each with a Secret Service of its own; and what a locked one does. */
import assert from "node:assert/strict";
import { cli, startServe } from "../support/serve.ts";
import { keyringIgnored, startKeyring } from "./daemon.ts";

Deno.test({
  name: "keyring: pair, store, run and revoke with a Secret Service on both machines",
  ignore: keyringIgnored(),
  fn: async () => {
    await using host = await startKeyring({ password: "correct horse" });
    await using laptop = await startKeyring({ password: "battery staple" });
    const folder = await Deno.makeTempDir({ prefix: "secllama-test-data-" });
    const envOf = (keyring: { env: Record<string, string> }, side: string) => ({
      ...keyring.env,
      SECLLAMA_DATA_DIR: `${folder}/${side}`,
    });
    const [hostEnv, laptopEnv] = [envOf(host, "host"), envOf(laptop, "laptop")];
    const served = await startServe({ env: hostEnv, args: ["--no-proxy"] });
    try {
      const made = await cli(["pair", "laptop", "--url", served.gatewayUrl, "--json"], {
        env: hostEnv,
      });
      assert.equal(made.code, 0, made.stderr);
      const { pairing, id } = JSON.parse(made.stdout);
      const stored = await cli(["proxy", "--pair", "-", "--as", "office"], {
        env: laptopEnv,
        stdin: pairing,
      });
      assert.equal(stored.code, 0, stored.stderr);
      assert.match(stored.stderr, /It answers/);
      const run = ["run", "demo", "Where are my keys?", "--proxy-port", "1"];
      const answer = await cli(run, { env: laptopEnv });
      assert.equal(answer.code, 0, answer.stderr);
      assert.ok(answer.stdout.length > 20, answer.stdout);

      await laptop.restartDaemon(null); // after a reboot, before anybody has logged in
      const locked = await cli(run, { env: laptopEnv });
      assert.equal(locked.code, 4, locked.stderr);
      assert.match(locked.stderr, /locked/);
      const gone = await cli(["clients", "revoke", id], { env: hostEnv });
      assert.equal(gone.code, 0, gone.stderr);
      const listed = JSON.parse(
        (await cli(["clients", "list", "--all", "--json"], { env: hostEnv })).stdout,
      );
      assert.deepEqual(
        listed.clients.map((c: { name: string; key: string }) => [c.name, c.key]),
        [["laptop", "revoked"]],
      );
    } finally {
      await served.stop();
      await Deno.remove(folder, { recursive: true });
    }
  },
});
