/**
 * A backup of the data folder and the key file that is put back over newer ones, through the real program: it is noticed also if
 * nothing was started between the rotation and the restoring.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { keysetHost } from "../support/keyset_host.ts";
import { newHome, secllama } from "../support/serve.ts";
import { runToEnd } from "../support/run_to_end.ts";

Deno.test("backup: one from before `key rotate` is noticed at once, and what to do is said", async (t) => {
  const { home, env } = await newHome();
  const host = await keysetHost(home, 1);
  const run = (args: readonly string[], more: Record<string, string> = {}) =>
    runToEnd([
      ...host.serve.under,
      ...secllama([...args, `--key-file=${home}/keys.json`, "--passphrase-fd=3"]),
    ], { env: { ...env, ...host.serve.env, ...more }, cwd: home, timeoutSeconds: 600 });
  const kept = [
    join(home, "keys.json"),
    ...["keyset.json", "clients.json", "host.json"]
      .map((name) => join(host.dataDir, name)),
  ];
  try {
    const backup = await Promise.all(kept.map((path) => Deno.readFile(path)));
    const rotated = await run(["key", "rotate"]);
    assert.equal(rotated.code, 0, rotated.stderr);
    for (const [at, path] of kept.entries()) await Deno.writeFile(path, backup[at]!);

    await t.step("the control: where nothing is noted, what was put back is believed", async () => {
      const { code, stdout, stderr } = await run(["clients", "list"], {
        XDG_STATE_HOME: join(home, "elsewhere"),
      });
      assert.equal(code, 0, stderr);
      assert.match(stdout, /laptop 0/);
    });

    for (const args of [["clients", "list"], ["serve", "--no-proxy"]]) {
      await t.step(`${args[0]} refuses it`, async () => {
        const { code, stderr } = await run(args);
        assert.notEqual(code, 0);
        assert.match(stderr, /generation 1, this machine has used generation 2: .*put back/);
        assert.match(stderr, /remove \S+\/marks\/[0-9a-f]{32}\.json/);
      });
    }
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
