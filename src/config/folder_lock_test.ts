/** Who may be in a data folder at once. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { code, withFolder } from "../keys/testing.ts";
import { ownFolder, shareFolder } from "./folder_lock.ts";

const HOLDER = `
import { shareFolder } from ${JSON.stringify(import.meta.resolve("./folder_lock.ts"))};
const lock = await shareFolder(Deno.args[0]);
console.log("held");
setInterval(() => lock, 86_400_000);
`;

Deno.test("folder lock: many share it, one restore has it alone; whoever is killed lets go", () =>
  withFolder(async (folder) => {
    {
      using _one = await shareFolder(folder);
      using _two = await shareFolder(folder);
      assert.equal(await code(ownFolder(folder)), "key-lock-busy");
    }
    {
      using _alone = await ownFolder(folder);
      assert.equal(await code(shareFolder(folder)), "key-lock-busy");
      assert.equal(await code(ownFolder(folder)), "key-lock-busy");
    }
    const script = join(folder, "holder.ts");
    await Deno.writeTextFile(script, HOLDER);
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-check", "--quiet", "-A", script, folder],
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    assert.match(new TextDecoder().decode((await reader.read()).value), /held/);
    assert.equal(await code(ownFolder(folder)), "key-lock-busy");
    child.kill("SIGKILL");
    await child.status;
    await reader.cancel();
    using _free = await ownFolder(folder);
  }));

Deno.test("folder lock: where there is no folder there is nothing to share", async () => {
  using _nothing = await shareFolder("/nonexistent/secllama");
  assert.equal(await code(ownFolder("/nonexistent/secllama")), "bad-config");
});
