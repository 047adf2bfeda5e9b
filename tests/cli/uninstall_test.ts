/** Nothing goes while somebody is in a data folder, whatever they listen on. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { shareFolder } from "../../src/config/folder_lock.ts";
import { userUnits } from "../../src/service/units.ts";
import { denoDir } from "../support/deno_dir.ts";
import { makeCheapKeyFile } from "../support/key_file.ts";
import { runToEnd } from "../support/run_to_end.ts";
import { cli, newHome, secllama } from "../support/serve.ts";

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

const PASSPHRASE = "a passphrase that nobody else has";

/** Files and links below a folder. */
async function filesIn(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) found.push(...await filesIn(path));
    else found.push(path);
  }
  return found;
}

Deno.test("uninstall: after pairing, on the host and on the laptop, beside units: gone or named, and a second time nothing is there", async () => {
  const homes = [await newHome(), await newHome()];
  try {
    let pairing = "";
    for (const [i, { home, env }] of homes.entries()) {
      const data = join(home, ".local/share/secllama");
      const units = join(home, ".config/systemd/user");
      await Deno.mkdir(data, { recursive: true, mode: 0o700 });
      await Deno.mkdir(units, { recursive: true });
      const keyFile = join(data, "key-file");
      await makeCheapKeyFile(keyFile, PASSPHRASE);
      await Deno.writeTextFile(join(home, "words"), PASSPHRASE, { mode: 0o600 });
      await Deno.writeTextFile(join(home, "pairing"), pairing, { mode: 0o600 });
      const before = [join(home, "words"), join(home, "pairing")];
      for (const unit of userUnits("/usr/bin/secllama", { proxy: i === 1 })) {
        await Deno.writeTextFile(join(units, unit.name), unit.text);
      }
      const run = async (line: string) => {
        const shell = `exec "$@" 3<"${home}/words" <"${home}/pairing"`;
        const key = [`--key-file=${keyFile}`, "--passphrase-fd=3"];
        const argv = ["/bin/sh", "-c", shell, "sh", ...secllama([...line.split(" "), ...key])];
        const done = await runToEnd(argv, { env, cwd: home, timeoutSeconds: 300 });
        assert.equal(done.code, 0, `${line}: ${done.stderr}`);
        return done.stdout;
      };
      if (i === 0) {
        await run("key init");
        pairing = await run("pair laptop --url https://x.lan:1");
      } else await run("proxy --pair - --as lab");
      const made = await filesIn(home);
      assert.ok(made.some((path) => path.startsWith(data)) && made.length > 4, made.join("\n"));

      const done = await cli(["uninstall", "--yes"], { env });
      assert.equal(done.code, 0, done.stderr);
      const left = (await filesIn(home)).filter((path) => !before.includes(path));
      assert.equal(left.length, 1, left.join("\n"));
      for (const path of left) {
        assert.ok(done.stderr.includes(`still there: ${path}  (to take it away: `), done.stderr);
      }
      assert.ok(!done.stderr.includes(`still there: ${data}`), done.stderr);
      await assert.rejects(Deno.lstat(data), Deno.errors.NotFound);
      const again = await cli(["uninstall", "--yes"], { env });
      assert.equal(again.code, 0);
      assert.equal(again.stdout, "there is nothing to remove\n");
      assert.ok(again.stderr.includes(left[0]!), again.stderr);
    }
  } finally {
    for (const { home } of homes) await Deno.remove(home, { recursive: true });
  }
});
