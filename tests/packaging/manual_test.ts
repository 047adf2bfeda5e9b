/** The man page: read by two formatters without a complaint, and complete. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { COMMANDS } from "../../src/cli/commands.ts";
import { FIELDS } from "../../src/config/fields.ts";
import { runToEnd, secllama, shim } from "./testing.ts";

Deno.test("help --man: groff and mandoc have nothing to complain of, and every word is there", async () => {
  using folder = await shim();
  const { code, stdout, stderr } = await secllama(["help", "--man"], folder.env);
  assert.equal(code, 0, stderr);
  const page = join(folder.path, "secllama.1");
  await Deno.writeTextFile(page, stdout);

  const lint = await runToEnd(["/usr/bin/mandoc", "-T", "lint", "-W", "warning", page], folder);
  assert.deepEqual([lint.code, lint.stdout], [0, ""], lint.stdout);
  const env = { ...folder.env, MANWIDTH: "100", MAN_KEEP_FORMATTING: "", TERM: "dumb" };
  const shown = await runToEnd(["/usr/bin/man", "--warnings", "-E", "UTF-8", "-l", page], { env });
  assert.deepEqual([shown.code, shown.stderr], [0, ""]);

  for (const command of COMMANDS.filter((c) => !c.hidden)) {
    assert.ok(shown.stdout.includes(`secllama ${command.path.join(" ")}`), command.path.join(" "));
    for (const name of Object.keys(command.options)) {
      assert.ok(shown.stdout.includes(`--${name}`), name);
    }
  }
  for (const { env: name } of FIELDS) assert.ok(shown.stdout.includes(name), name);
});

Deno.test("the linters above do complain of a broken page", async () => {
  using folder = await shim();
  const page = join(folder.path, "broken.1");
  await Deno.writeTextFile(
    page,
    '.TH BROKEN 1 2026-11-25\n.SH NAME\nbroken\n.XX\n.BI "open\n\\fQ\n',
  );
  const lint = await runToEnd(["/usr/bin/mandoc", "-T", "lint", "-W", "warning", page], folder);
  assert.notEqual(lint.code, 0);
  const shown = await runToEnd(["/usr/bin/man", "--warnings", "-l", page], folder);
  assert.notEqual(shown.stderr, "");
});

Deno.test("help --man with an argument is an error", async () => {
  using folder = await shim();
  assert.equal((await secllama(["help", "--man", "serve"], folder.env)).code, 2);
});
