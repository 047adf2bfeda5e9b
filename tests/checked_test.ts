/** Format, lint and types are checked again when anything has changed that they were checked with: scripts/test/checked.ts. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { checkChanged, digestTree } from "../scripts/test/checked.ts";

async function withTree(use: (root: string, stamps: string) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "secllama-checked-" });
  // As in a fresh clone, the folder is not there.
  const stamps = join(root, "build/test/checked.json");
  try {
    await Deno.mkdir(join(root, "src"));
    await Deno.mkdir(join(root, "build"));
    await Deno.writeTextFile(join(root, "src/a.ts"), "export {};");
    await Deno.writeTextFile(join(root, "b.md"), "");
    await use(root, stamps);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("checked: each change of a file is one for the checks; what is built is none", async () => {
  await withTree(async (root, stamps) => {
    let ran = 0;
    const check = async (anew = false) => {
      ran = 0;
      const count = () => Promise.resolve(void ran++);
      return await checkChanged({ one: count, two: count }, { anew, root, file: stamps });
    };
    const passesOnce = async (what: string) => {
      assert.deepEqual(await check(), [], what);
      assert.equal(ran, 2, what);
      assert.deepEqual(await check(), ["one", "two"], what);
      assert.equal(ran, 0, what);
    };
    await passesOnce("at first");
    const changes: Record<string, () => Promise<void>> = {
      "another text": () => Deno.writeTextFile(join(root, "src/a.ts"), "export const a = 1;"),
      "one of the same length": () =>
        Deno.writeTextFile(join(root, "src/a.ts"), "export const a = 2;"),
      "a file more": () => Deno.writeTextFile(join(root, "src/c.ts"), ""),
      "another name": () => Deno.rename(join(root, "src/c.ts"), join(root, "src/d.ts")),
      "another folder": () => Deno.rename(join(root, "src/d.ts"), join(root, "d.ts")),
      "a file less": () => Deno.remove(join(root, "d.ts")),
      "a text of another's": () => Deno.writeTextFile(join(root, "b.md"), "export const a = 2;"),
    };
    for (const [what, change] of Object.entries(changes)) {
      await change();
      await passesOnce(what);
    }
    await Deno.writeTextFile(join(root, "build/made.js"), "");
    assert.deepEqual(await check(), ["one", "two"]);
    assert.deepEqual(await check(true), []);
    assert.equal(ran, 2);
  });
});

Deno.test("checked: what failed, or was changed while it was checked, is checked again", async () => {
  await withTree(async (root, stamps) => {
    const options = { root, file: stamps };
    const fails = () => Promise.reject(new Error("no"));
    const passes = () => Promise.resolve();
    await assert.rejects(checkChanged({ one: passes, two: fails }, options), /no/);
    assert.deepEqual(await checkChanged({ one: fails, two: passes }, options), ["one"]);
    const writes = () => Deno.writeTextFile(join(root, "b.md"), "written meanwhile");
    await Deno.writeTextFile(join(root, "b.md"), "before");
    assert.deepEqual(await checkChanged({ one: writes }, options), []);
    assert.deepEqual(await checkChanged({ one: passes }, options), []);
    assert.deepEqual(await checkChanged({ one: fails }, options), ["one"]);
    // A disk, a package or the check itself may fail where nothing has changed.
    await assert.rejects(checkChanged({ one: fails }, { ...options, anew: true }), /no/);
    assert.deepEqual(await checkChanged({ one: passes }, options), []);
    await Deno.writeTextFile(stamps, "no stamps");
    assert.deepEqual(await checkChanged({ one: passes }, options), []);
    assert.notEqual(await digestTree(root), await digestTree(join(root, "src")));
  });
});
