/** A disk that is full: what was saved stays, what was not says so, and with room again the next message is saved. */
import assert from "node:assert/strict";
import { join } from "node:path";

const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

const CHILD = `
import { History } from ${JSON.stringify(new URL("./history.ts", import.meta.url).href)};
const [dataDir] = Deno.args;
const open = () =>
  new History({ dataDir, vault: [{ id: "0011223344556677", key: new Uint8Array(32).fill(7) }] });
const say = (...words) => console.log(words.join(" "));
let history = open();
const { id } = history.create({ title: "t" });
let saved = 0;
const save = () => {
  history.append(id, { parent: null, role: "user", content: "x".repeat(9000) });
  saved++;
};
Deno.writeFileSync(dataDir + "/ballast", new Uint8Array(200_000));
let refused = 0;
for (let i = 0; i < 200 && refused < 3; i++) {
  try { save(); } catch (error) { say(error.code); refused++; }
}
say("saved", saved > 5, history.get(id).messages.length === saved);
history[Symbol.dispose]();
history = open();
say("again", history.get(id).messages.length === saved);
Deno.removeSync(dataDir + "/ballast");
save();
say("room", history.get(id).messages.length === saved);
history[Symbol.dispose]();
`;

Deno.test("history: a full disk refuses what is new and loses nothing of what was saved", async () => {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) {
    console.log("skipped: it mounts a small tmpfs, which needs root on Linux");
    return;
  }
  const folder = await Deno.makeTempDir({ prefix: "secllama-full-" });
  try {
    const script = join(folder, "child.ts");
    await Deno.writeTextFile(script, CHILD);
    const disk = join(folder, "disk");
    await Deno.mkdir(disk);
    const run = `mount -t tmpfs -o size=900k tmpfs "$1" && shift && exec "$@"`;
    const { code, stdout, stderr } = await new Deno.Command("/usr/bin/unshare", {
      args: [
        ...["-m", "/bin/sh", "-c", run, "sh", disk],
        ...[
          Deno.execPath(),
          "run",
          "-A",
          "--no-check",
          "--frozen",
          "--config",
          CONFIG,
          script,
          disk,
        ],
      ],
    }).output();
    const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    if (/unshare|mount:/.test(err!)) {
      console.log(`skipped: no mount namespace can be had here: ${err!.split("\n")[0]}`);
      return;
    }
    assert.equal(code, 0, err);
    assert.deepEqual(out!.trim().split("\n"), [
      "disk-full",
      "disk-full",
      "disk-full",
      "saved true true",
      "again true",
      "room true",
    ]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
