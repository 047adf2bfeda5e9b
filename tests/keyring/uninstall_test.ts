/** The last day: every key of every profile goes, and what is not ours stays. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { isOurs } from "../../src/app/places.ts";
import { SecretServiceStore } from "../../src/keys/stores/linux.ts";
import { cli, startServe } from "../support/serve.ts";
import { keyringIgnored, startKeyring } from "./daemon.ts";

Deno.test({
  name: "uninstall: keys of all profiles, clients and settings go; models and files of others stay",
  ignore: keyringIgnored(),
  fn: async () => {
    await using keyring = await startKeyring({ password: "correct horse" });
    const dataDir = await Deno.makeTempDir({ prefix: "secllama-test-data-" });
    const env = { ...keyring.env, SECLLAMA_DATA_DIR: dataDir };
    const run = (...args: string[]) => cli(args, { env });
    /** How many items the key store has of each profile. */
    const items = async () => {
      const count = async (profile: string) =>
        (await new SecretServiceStore({ env, profile, interactive: false }).list()).length;
      return [await count("default"), await count("work")];
    };
    try {
      await run("key", "init", "--profile=work");
      await run("pair", "laptop", "--url=https://x.lan:1", "--profile=work");
      await run("cp", "demo", "mine");
      await Deno.writeTextFile(join(dataDir, "letter.txt"), "not ours");
      const served = await startServe({ env, args: [] });
      try {
        const refused = await run("uninstall", "--yes");
        assert.equal(refused.code, 9);
        assert.match(refused.stderr, /still runs, on port \d+\nhint: .*nothing was removed/);
      } finally {
        await served.stop();
      }
      for await (const { name } of Deno.readDir(dataDir)) {
        assert.ok(isOurs(name) || ["models", "letter.txt"].includes(name), name);
      }
      const dry = await run("uninstall", "--dry-run");
      assert.match(dry.stderr, /items of profile default[^]*items of profile work/);
      const nobody = await run("uninstall");
      assert.match(nobody.stderr, /nobody was there to confirm/);
      assert.equal((await run("key", "list")).code, 0, "nothing was removed");

      assert.ok((await items()).every((count) => count > 0));
      const done = await run("uninstall", "--yes");
      assert.equal(done.code, 0, done.stderr);
      const left = [...Deno.readDirSync(dataDir)].map(({ name }) => name).sort();
      assert.deepEqual(left, ["letter.txt", "models"]);
      assert.match(done.stderr, /still there: .*models/);
      assert.equal((await run("key", "list")).code, 3, "no key is left");
      assert.deepEqual(await items(), [0, 0]);
      // A new start is a new one, not a loss.
      assert.equal((await run("key", "init")).code, 0);
      const all = await run("key", "delete", "--all", "--yes");
      assert.match(all.stdout, /destroyed \d+ items? of the key store/);
      assert.equal((await run("key", "list")).code, 3);
      assert.equal((await run("uninstall", "--yes", "--models")).code, 0);
      assert.match((await run("paths")).stdout, /models.*\(nothing there\)/);
    } finally {
      await Deno.remove(dataDir, { recursive: true });
    }
  },
});
