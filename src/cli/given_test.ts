import assert from "node:assert/strict";
import { COMMANDS } from "./commands.ts";
import { commandHelp, listedOptions } from "./command.ts";
import { storeHint } from "../keys/stores/packages.ts";
import { givenOptions, takesKey, toldOf, withGiven } from "./given.ts";

Deno.test("given: the commands that it takes for keyed are, and no other is", () => {
  for (const { path, options } of COMMANDS) {
    assert.equal("key-file" in options, takesKey(path[0]!), path.join(" "));
  }
});

Deno.test("given: help lists a key in memory where one is taken, and where it is refused takes it to say why", () => {
  const listed = COMMANDS.filter((command) =>
    listedOptions(command).some(([name]) => name === "ephemeral")
  ).map(({ path }) => path.join(" "));
  assert.deepEqual(listed.sort(), ["key status", "proxy", "run", "serve", "ui"]);
  const taken = COMMANDS.filter(({ options }) => "ephemeral" in options);
  assert.ok(taken.length > listed.length + 20, `${taken.length} take it`);
  for (const command of taken) {
    const name = command.path.join(" ");
    assert.equal(/--ephemeral\b/.test(commandHelp(command)), listed.includes(name), name);
  }
});

Deno.test("given: a command of this machine is named with the key source that was given", () => {
  const of = (text: string) =>
    withGiven(text, { "key-file": "F", "passphrase-fd": "3", all: true });
  const own = " --key-file F --passphrase-fd 3";
  for (
    const [hint, wanted] of [
      ["to make one, run: secllama key init", `to make one, run: secllama key init${own}`],
      ["to see them: secllama role list; to make one: secllama role set NAME …"]
        .map((hint) => [hint, hint.replace("list", `list${own}`).replace("set", `set${own}`)])[0]!,
      ["run: secllama fleet remove gpu-1", `run: secllama fleet remove${own} gpu-1`],
      ["run: secllama fleet audit verify X", `run: secllama fleet audit verify${own} X`],
      [
        "secllama import or pull them: secllama pull X",
        `secllama import or pull them: secllama pull${own} X`,
      ],
    ] as [string, string][]
  ) assert.equal(of(hint), wanted);
  // Another machine's, one that has a source, one that takes none, a page.
  for (
    const hint of [
      "on the host, run: secllama pair NAME",
      "the host's administrator has it from: secllama audit key",
      "keep it in memory: secllama proxy --pair - --ephemeral",
      "run: secllama status",
      "see secllama help keys",
    ]
  ) assert.equal(of(hint), hint);
  assert.equal(withGiven("run: secllama key list", { all: true }), "run: secllama key list");
});

Deno.test("given: values are quoted as a shell needs it", () => {
  const typed = (value: string) => givenOptions({ "key-file": value });
  assert.equal(typed("/a/b.json"), " --key-file /a/b.json");
  assert.equal(typed("my keys"), " --key-file 'my keys'");
  assert.equal(typed("it's $HOME"), ` --key-file 'it'\\''s $HOME'`);
  assert.equal(typed(""), " --key-file ''");
  const all = { ephemeral: true, "proxy-port": "1", names: ["a", "b c"], json: false };
  assert.equal(
    givenOptions(all, () => true),
    " --ephemeral --proxy-port 1 --names a --names 'b c'",
  );
});

Deno.test("given: a key in memory is named where one is of use, and to no other command", () => {
  const hint = storeHint("start a keyring", () => true);
  for (const first of new Set(COMMANDS.map(({ path }) => path[0]!))) {
    const isOfUse = ["serve", "proxy", "ui", "run", "launch", "doctor"].includes(first);
    assert.equal(/--ephemeral|in memory/.test(toldOf(first, hint, {})), isOfUse, first);
    assert.match(toldOf(first, hint, {}), /: (?:--ephemeral .* or )?--key-file FILE/);
  }
});
