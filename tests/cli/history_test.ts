/**
 * `secllama history`, `secllama docs` and `run --save`: docs/history.md and docs/documents.md as they print them, in full runs on the compiled
 * program where there is one, over a serve that runs and then without one.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { makeDocx, makePdf } from "../../src/documents/testing.ts";
import { bytesOf, holds } from "../../src/history/testing.ts";
import { compiledProgram, sharedCache } from "../support/binary.ts";
import { newHome, ROOT, secllama, startServe } from "../support/serve.ts";

const CANARY = "canarykestrel";
const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
if (!FULL) console.log("skipped: on the compiled program; set SECLLAMA_FULL=1");

/** An export as ChatGPT writes it. */
const CHATGPT = [{
  title: "Land",
  create_time: 1_700_000_000,
  mapping: {
    a: {
      id: "a",
      parent: null,
      message: {
        author: { role: "user" },
        content: { parts: [`Where is the land register of Ghent? ${CANARY}`] },
      },
    },
  },
}];

/** The commands of a page's block, and the id that stands for one. */
async function blockOf(page: string, name: string): Promise<string[]> {
  const text = await Deno.readTextFile(join(ROOT, page));
  const [, block] = new RegExp(`<!-- tested: ${name} -->\\s*\`\`\`console\\n([^]*?)\`\`\``).exec(
    text,
  )!;
  return [...block!.matchAll(/^\$ (.*)$/gm)].map(([, line]) => line!.replace(/ +#.*/, ""));
}

Deno.test("history and documents on the terminal: the pages as printed, nothing readable on the disk, erased for good", async (t) => {
  const program = FULL ? compiledProgram() : "";
  const { home, env: base } = await newHome();
  const [data, work, bin] = ["data", "work", "bin"].map((name) => join(home, name));
  for (const folder of [data, work, bin]) await Deno.mkdir(folder!, { mode: 0o700 });
  const env: Record<string, string> = {
    ...base,
    ...(program === "" ? {} : { XDG_CACHE_HOME: sharedCache() }),
    SECLLAMA_KEY: `sl1:${crypto.getRandomValues(new Uint8Array(32)).toBase64()}`,
    SECLLAMA_DATA_DIR: data!,
    PATH: `${bin}:/usr/bin:/bin`,
  };
  const argv = program === "" ? secllama([]) : [program];
  const script = `#!/bin/sh\nexec ${argv.map((word) => `'${word}'`).join(" ")} "$@"\n`;
  await Deno.writeTextFile(join(bin!, "secllama"), script, { mode: 0o755 });
  const sh = async (line: string) => {
    const { code, stdout, stderr } = await new Deno.Command("/bin/sh", {
      args: ["-c", line],
      cwd: work!,
      env,
      clearEnv: true,
      stdin: "null",
    }).output();
    const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    return { code, out: out!, err: err! };
  };
  const run = async (line: string) => {
    const { code, out, err } = await sh(line);
    assert.equal(code, 0, `${line}\n${out}${err}`);
    return out;
  };
  const onDisk = (word: string) => holds(bytesOf(data!), word);
  await Deno.writeTextFile(join(work!, "conversations.json"), JSON.stringify(CHATGPT));
  const lease = makePdf(["The tenant pays rent.", "Notice of the lease: three months."]);
  await Deno.writeFile(join(work!, "lease.pdf"), lease);
  await Deno.mkdir(join(work!, "notes"));
  await Deno.writeFile(join(work!, "notes/herons.docx"), makeDocx("Herons nest in March."));
  const served = await startServe({ args: [], env, ...(program === "" ? {} : { program }) });
  env["SECLLAMA_PROXY_PORT"] = new URL(served.proxyUrl).port;
  try {
    await t.step("docs/history.md", async () => {
      const said: Record<string, string> = {};
      let id = "";
      for (const line of await blockOf("docs/history.md", "history")) {
        const command = line.split(" ").slice(1, 3).join(" ");
        said[command] = await run(line.replace("dbfaae3e", id));
        if (command === "history list") {
          [, id = ""] = /^([0-9a-f]{8}) .*Where are/m.exec(said[command]!)!;
        }
      }
      assert.match(said["history show"]!, /^1 {2}user/m);
      assert.match(said["history show"]!, /^2 {2}assistant demo/m);
      assert.match(said["history import"]!, /1 conversation/);
      assert.match(said["history search"]!, /Land[^]*register of Ghent/);
      assert.match(await Deno.readTextFile(join(work!, "keys.md")), /^# Where are my keys/m);
      const all = JSON.parse(await Deno.readTextFile(join(work!, "everything.json")));
      assert.equal(all.conversations.length, 2);
      assert.match(said["history erase"]!, /erased 1 conversation/);
      assert.doesNotMatch(await run("secllama history list"), /Where are my keys/);
      assert.ok(!onDisk(CANARY) && !onDisk("Where are my keys"));
    });

    await t.step("docs/documents.md: a PDF, a DOCX, an answer with its page", async () => {
      const said: string[] = [];
      let id = "";
      for (const line of await blockOf("docs/documents.md", "docs")) {
        said.push(await run(line.replace("4008a3fd", id)));
        [, id = id] = /^([0-9a-f]{8}) .*lease\.pdf/m.exec(said.at(-1)!) ?? [];
      }
      const [added, asked, found, embedding, list, removed] = said;
      assert.match(added!, /lease\.pdf: 2 passages\nnotes\/herons\.docx: 1 passage(?!s)/);
      assert.match(asked!, /^\[1\] lease\.pdf, page 2$/m);
      assert.match(found!, /^\[1\] lease\.pdf, page 2\n {4}Notice of the lease/m);
      assert.match(embedding!, /no model: passages are found by their words alone/);
      assert.match(list!, /pdf .* 2 .*lease\.pdf/);
      assert.match(removed!, /erased 1 document/);
      assert.doesNotMatch(await run("secllama docs list"), /lease/);
      assert.ok(!onDisk("Herons") && !onDisk("lease"));
    });

    await t.step("what cannot be done says so, with its code", async () => {
      const none = await sh("secllama history show ffffffffff");
      assert.match(none.err, /no such conversation[^]*secllama history list/);
      assert.equal(none.code, 1, none.err);
      assert.equal((await sh("secllama history show nonsense")).code, 2);
      assert.equal((await sh("secllama history erase")).code, 2);
      const unsure = await sh("secllama history erase --all");
      assert.match(unsure.err, /nobody was there[^]*history erase … --yes/);
      assert.equal((await sh("secllama docs rm ffff")).code, 1);
      const broken = await sh("printf '%%PDF-1.4 x' > cut.pdf; secllama docs add cut.pdf");
      assert.match(broken.err, /cut\.pdf was left out:[^]*it is broken/);
      assert.notEqual(broken.code, 0);
      assert.match(
        (await sh("echo x > x.json; secllama history import x.json")).err,
        /nothing can be imported/,
      );
    });
  } finally {
    await served.stop();
  }
  try {
    await t.step("without a proxy the commands open the same history themselves", async () => {
      assert.match(await run("secllama history list"), /Land/);
      assert.match(await run("secllama docs ask demo --find herons"), /herons\.docx, passage 1/);
      const everything = JSON.parse(await run("secllama history export"));
      assert.equal(everything.conversations.length, 1);
      await run("secllama history erase --all --yes");
      assert.doesNotMatch(await run("secllama history list"), /Land/);
      assert.doesNotMatch(await run("secllama docs list"), /herons/);
    });
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
