/** A machine that was installed anew: with the old keys and no data folder, and the other way round. As docs/upgrade.md has it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { newHome, secllama } from "../support/serve.ts";
import { runToEnd } from "../support/run_to_end.ts";

Deno.test("reinstall: old keys are found, nothing is overwritten, and both ways on are named and work", async () => {
  const { home, env } = await newHome();
  const keyFile = join(home, "keys.json");
  const program = secllama([]).map((word) => `'${word}'`).join(" ");
  await Deno.writeTextFile(join(home, "phrase"), "a long passphrase\n");
  const key = (dataDir: string, words: string) =>
    runToEnd(
      ["/bin/sh", "-c", `${program} key ${words} --key-file ${keyFile} --passphrase-fd 3 3<phrase`],
      { env: { ...env, SECLLAMA_DATA_DIR: join(home, dataDir) }, cwd: home },
    );
  const works = async (dataDir: string, words: string) => {
    const { code, stdout, stderr } = await key(dataDir, words);
    assert.equal(code, 0, `${words}: ${stdout}${stderr}`);
  };
  try {
    await works("old", "init");
    const before = await Deno.readTextFile(keyFile);

    // The keys are there, the folder is new.
    const found = await key("new", "init");
    assert.equal(found.code, 6, found.stderr);
    assert.match(
      found.stderr,
      /holds a keyset, but its keyset.json is missing\nhint: .*key init .*--recover.*key delete .*--all/,
    );
    assert.equal(await Deno.readTextFile(keyFile), before);
    await works("new", "init --recover");

    // The folder is there, the keys are lost.
    await Deno.remove(keyFile);
    const lost = await key("new", "rotate");
    assert.equal(lost.code, 6, lost.stderr);
    assert.match(
      lost.stderr,
      /there is no key file .*\nhint: correct the path.*key import .*FILE.*key delete .*--all/,
    );
    await works("new", "delete --all --yes");
    await works("new", "init");
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
