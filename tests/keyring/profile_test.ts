/** Profiles: two keysets of one user in one key store, each with its clients, its serve and its proxy. */
import assert from "node:assert/strict";
import { keyringIgnored, startKeyring } from "./daemon.ts";
import { chat, cli, startServe } from "../support/serve.ts";

Deno.test({
  name:
    "profiles: keys, clients and the proxy of one profile are not those of another; models are of all",
  ignore: keyringIgnored(),
  fn: async () => {
    await using keyring = await startKeyring({ password: "correct horse" });
    const dataDir = await Deno.makeTempDir({ prefix: "secllama-test-data-" });
    const env = { ...keyring.env, SECLLAMA_DATA_DIR: dataDir };
    const json = async (...args: string[]) => {
      const { code, stdout, stderr } = await cli([...args, "--json"], { env });
      assert.equal(code, 0, stderr);
      return JSON.parse(stdout);
    };
    try {
      await cli(["key", "init"], { env });
      const work = await cli(["key", "init", "--profile", "work"], { env });
      assert.equal(work.code, 0, work.stderr);
      const [one, other] = [await json("key", "list"), await json("key", "list", "--profile=work")];
      assert.notEqual(one.keys[0].kid, other.keys[0].kid);

      assert.equal(
        (await cli(["pair", "laptop", "--url=https://x.lan:1", "--profile=work"], { env })).code,
        0,
      );
      assert.equal((await json("clients", "list", "--profile=work")).clients.length, 1);
      assert.equal((await json("clients", "list")).clients.length, 0);

      await cli(["cp", "demo", "mine", "--profile=work"], { env });
      assert.ok(
        (await json("list")).models.some((m: { name: string }) => m.name === "mine:latest"),
      );

      // The proxy child takes its key of the same profile.
      const served = await startServe({ env, args: ["--profile=work"] });
      try {
        assert.ok(served.banner.includes(other.keys[0].kid), served.banner);
        assert.equal((await chat(served.proxyUrl, "Where are my keys?")).status, 200);
      } finally {
        await served.stop();
      }
      const byVariable = await cli(["key", "list"], { env: { ...env, SECLLAMA_PROFILE: "work" } });
      assert.ok(byVariable.stdout.includes(other.keys[0].kid));
      const bad = await cli(["key", "list", "--profile=../x"], { env });
      assert.match(bad.stderr, /a profile is 1 to 32 lower-case letters/);
      assert.equal(bad.code, 2);
    } finally {
      await Deno.remove(dataDir, { recursive: true });
    }
  },
});
