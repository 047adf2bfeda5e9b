import assert from "node:assert/strict";
import { withFolder } from "../testing.ts";
import { checkAccess } from "./access.ts";
import { isOn } from "../../../tests/support/systems.ts";

const notRoot = Deno.build.os !== "windows" && Deno.uid() !== 0;
if (notRoot) console.log("skipped: another user's files are made by root");

Deno.test({
  name: "access: what others may write is refused, what they may read is said",
  ignore: isOn("windows"),
  fn: () =>
    withFolder(async (folder) => {
      const path = `${folder}/keys.json`;
      await Deno.writeTextFile(path, "x");
      for (const [name, kind] of [[path, 0o600], [folder, 0o700]] as const) {
        const check = (mode: number) => Deno.chmod(name, mode).then(() => checkAccess(name, "it"));
        for (let bits = 0; bits < 0o100; bits++) {
          const mode = kind | bits;
          if (mode & 0o022) {
            await assert.rejects(
              check(mode),
              { code: "key-refused", message: /may write/ },
              mode.toString(8),
            );
          } else {
            const warnings = await check(mode);
            assert.equal(warnings.length, mode & 0o055 ? 1 : 0, mode.toString(8));
            assert.ok(warnings.every((line) => /may read.*chmod/.test(line)));
          }
        }
        await Deno.chmod(name, kind);
      }
      // Whoever may write to its folder can put another file in its place, unless the folder is sticky.
      await Deno.chmod(folder, 0o777);
      await assert.rejects(checkAccess(path, "it"), { code: "key-refused", message: /folder/ });
      await Deno.chmod(folder, 0o1777);
      assert.deepEqual(await checkAccess(path, "it"), []);
      await Deno.chmod(folder, 0o700);
      assert.deepEqual(await checkAccess(`${folder}/none`, "it"), []);
    }),
});

Deno.test({
  name: "access: another user's is refused",
  ignore: isOn("windows") || notRoot,
  fn: () =>
    withFolder(async (folder) => {
      const path = `${folder}/keys.json`;
      await Deno.writeTextFile(path, "x", { mode: 0o600 });
      await Deno.chown(path, 61234, 61234);
      await assert.rejects(checkAccess(path, "it"), {
        code: "key-refused",
        message: /another user/,
      });
    }),
});
