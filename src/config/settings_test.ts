import assert from "node:assert/strict";
import { code, withFolder } from "../keys/testing.ts";
import { loadSettings } from "./settings.ts";
import { isOn } from "../../tests/support/systems.ts";

const WEAK = "enable_encryption = false\n";

Deno.test({
  name: "settings: a config file that others may write to is not obeyed",
  ignore: isOn("windows"),
  fn: () =>
    withFolder(async (folder) => {
      const path = `${folder}/config.toml`;
      const read = () => loadSettings({ env: { SECLLAMA_DATA_DIR: folder } });
      assert.equal((await read()).config.enableEncryption, true);
      await Deno.writeTextFile(path, WEAK);
      for (const mode of [0o600, 0o644, 0o664]) {
        await Deno.chmod(path, mode);
        assert.equal((await read()).config.enableEncryption, false, "positive control");
      }
      await Deno.chmod(path, 0o666);
      assert.equal(await code(read()), "bad-config");
      await Deno.chmod(path, 0o600);
      if (Deno.uid() !== 0) return console.log("skipped: only root can give a file away");
      await Deno.chown(path, 65534, 65534);
      assert.equal(await code(read()), "bad-config");
    }),
});
