/** The history's thread outlives the rights of the process that started it, if these were kept until it was loaded. */
import assert from "node:assert/strict";
import { join } from "node:path";

const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

/** Gives up its rights as the proxy does, once it has waited as it is told; says how a list is answered. */
const CHILD = `
import { startHistoryThread } from ${JSON.stringify(new URL("./thread.ts", import.meta.url).href)};
const [dataDir, waits] = Deno.args;
const vault = [{ id: "0011223344556677", key: new Uint8Array(32).fill(7) }];
const thread = startHistoryThread({ dataDir, vault: () => Promise.resolve(vault) });
if (waits.startsWith("w")) await thread.loaded;
for (const name of ["env", "sys", "import", "read", "write"]) Deno.permissions.revokeSync({ name });
const said = thread.history.list().then(({ total }) => "total " + total, ({ code }) => code);
console.log(await said);
if (waits === "writes") {
  const { id } = await thread.history.create({ title: "t" });
  const text = JSON.stringify({ parent: null, role: "user", content: "heron \\u00e9 " + "x".repeat(1e6) });
  const body = new TextEncoder().encode(text);
  const told = await thread.appendJson(id, body);
  const bytes = await thread.written("json", "get", id);
  const { messages } = JSON.parse(new TextDecoder().decode(bytes));
  const wrong = await thread.appendJson(id, new TextEncoder().encode("{}")).catch(({ code }) => code);
  const markdown = new TextDecoder().decode(await thread.written("markdown", "get", id));
  console.log(told.id, body.length, messages[0].content.length, wrong, markdown.slice(0, 3));
}
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
    // A busy machine may have loaded it before its process gave anything up.
    let ended = false;
    for (let i = 0; i < 10 && !ended; i++) {
      ended = await listed("goes on at once") === "history-io";
    }
    assert.ok(ended, "the test shows nothing");
    assert.equal(await listed("waits"), "total 0");
    // Both ways as bytes, which are moved and not copied: the sender's are gone.
    assert.equal(await listed("writes"), "total 0\n1 0 1000008 bad-request # t");
  } finally {
    await Deno.remove(dataDir, { recursive: true });
  }
});
