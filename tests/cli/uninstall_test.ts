/** Nothing goes while somebody is in a data folder, whatever they listen on. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { shareFolder } from "../../src/config/folder_lock.ts";
import { cli } from "../support/serve.ts";
import { denoDir } from "../support/deno_dir.ts";

Deno.test("uninstall: refuses while a serve of any profile is there, even one without a proxy", async () => {
  const home = await Deno.makeTempDir({ prefix: "secllama-test-home-" });
  const data = join(home, "data");
  const work = join(data, "profiles", "work");
  const settings = join(data, "config.toml");
  const env = { HOME: home, SECLLAMA_DATA_DIR: data, DENO_DIR: denoDir() };
  try {
    await Deno.mkdir(work, { recursive: true });
    await Deno.writeTextFile(settings, "");
    await Deno.writeTextFile(join(data, "session-0123456789abcdef.lock"), "");
    // As a serve holds it; --no-proxy leaves no other sign that could be asked.
    using serve = await shareFolder(work);
    const refused = await cli(["uninstall", "--yes"], { env });
    assert.equal(refused.code, 8, refused.stderr);
    assert.match(refused.stderr, /a serve, a proxy .* runs on .*work\nhint: end it first/);
    assert.ok((await Deno.lstat(settings)).isFile, "nothing was removed");
    assert.ok((await Deno.lstat(join(work, "in-use.lock"))).isFile, "nor what it holds");
    serve[Symbol.dispose]();
    const done = await cli(["uninstall", "--yes"], { env });
    assert.equal(done.code, 0, done.stderr);
    await assert.rejects(Deno.lstat(data), Deno.errors.NotFound);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
