/** The history's thread outlives the rights of the process that started it, if these were kept until it was loaded. */
import assert from "node:assert/strict";
import { join } from "node:path";

const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

/** Gives up its rights as the proxy does, once it has waited as it is told; says how a list is answered. */
const CHILD = `
import { startHistoryThread } from ${JSON.stringify(new URL("./thread.ts", import.meta.url).href)};
const [dataDir, waits] = Deno.args;
const vault = [{ id: "0011223344556677", key: new Uint8Array(32) }];
const thread = startHistoryThread({ dataDir, vault: () => Promise.resolve(vault) });
if (waits === "waits") await thread.loaded;
for (const name of ["env", "sys", "import", "read", "write"]) Deno.permissions.revokeSync({ name });
const said = thread.history.list().then(({ total }) => "total " + total, ({ code }) => code);
console.log(await said);
await thread.close();
`;

Deno.test("history: its thread works on when the proxy gives up its rights, which ends one that is still being loaded", async () => {
  const dataDir = await Deno.makeTempDir({ prefix: "secllama-thread-" });
  try {
    const script = join(dataDir, "child.ts");
    await Deno.writeTextFile(script, CHILD);
    const listed = async (waits: string) => {
      const { stdout } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", "--frozen", "--config", CONFIG, script, dataDir, waits],
      }).output();
      return new TextDecoder().decode(stdout).trim();
    };
    assert.equal(await listed("goes on at once"), "history-io", "the test shows nothing");
    assert.equal(await listed("waits"), "total 0");
  } finally {
    await Deno.remove(dataDir, { recursive: true });
  }
});
