/** The completion scripts in the shells themselves. PowerShell is not among Debian's packages: its script is only read. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { COMMANDS } from "../../src/cli/commands.ts";
import { completionTable, firstWords } from "../../src/cli/completion/table.ts";
import { runToEnd, secllama, shim } from "./testing.ts";

/** A command line up to the cursor, and what the shell is to offer there: all of it, or at least. */
const LINES: readonly {
  line: string;
  all?: readonly string[];
  some?: readonly string[];
  none?: readonly string[];
}[] = [
  { line: "secllama ", all: firstWords(completionTable(COMMANDS)).map(([word]) => word) },
  { line: "secllama serv", all: ["serve", "service"] },
  { line: "secllama launch", all: ["launch"] },
  { line: "secllama launch co", all: ["codex", "continue", "copilot"] },
  { line: "secllama key ", some: ["init", "status", "rotate"], none: ["serve", "key"] },
  { line: "secllama key ro", all: ["rotate"] },
  { line: "secllama key rotate --comp", all: ["--compromised"] },
  { line: "secllama serve --gpu ", all: ["auto", "off", "nvidia", "amd", "intel", "metal"] },
  { line: "secllama serve --gpu n", all: ["nvidia"] },
  { line: "secllama serve --log-level d", all: ["debug"] },
  { line: "secllama serve --gpu off --log-level w", all: ["warn"] },
  { line: "secllama serve --no-pr", all: ["--no-proxy", "--no-preload"] },
  { line: "secllama serve --port ", all: [] },
  { line: "secllama completion ", all: ["bash", "zsh", "fish", "powershell"] },
  { line: "secllama completion fish ", all: [] },
  { line: "secllama help con", all: ["config", "containers"] },
  { line: "secllama run de", all: ["demo:latest"] },
  { line: "secllama show --json de", all: ["demo:latest"] },
  { line: "secllama import mod", all: ["model file.gguf"] },
];

function judge(shell: string, line: string, offered: readonly string[]) {
  const { all, some, none } = LINES.find((row) => row.line === line)!;
  // zsh offers options where nothing else is left.
  const optionsToo = shell !== "zsh" || /(^| )-\S*$/.test(line);
  const got = offered.map((word) => word.trim().replace(/\\ /g, " "))
    .filter((word) => word !== "" && (optionsToo || !word.startsWith("-")));
  const where = `${shell}: ${JSON.stringify(line)} offers ${JSON.stringify(got)}`;
  if (all) assert.deepEqual([...new Set(got)].sort(), [...all].sort(), where);
  for (const word of some ?? []) assert.ok(got.includes(word), where);
  for (const word of none ?? []) assert.ok(!got.includes(word), where);
}

/** Runs `driver` in the shell, which writes `> LINE` and the words that it offers, one a line. */
async function offers(shell: string, driver: string): Promise<void> {
  using folder = await shim();
  await Deno.writeTextFile(join(folder.path, "model file.gguf"), "");
  const script = await secllama(["completion", shell], folder.env);
  assert.equal(script.code, 0, script.stderr);
  await Deno.writeTextFile(join(folder.path, "completion"), script.stdout);
  await Deno.writeTextFile(join(folder.path, "driver"), driver);
  const { code, stdout, stderr } = await runToEnd([`/usr/bin/${shell}`, "./driver"], {
    env: { ...folder.env, TERM: "dumb" },
    cwd: folder.path,
  });
  assert.equal(code, 0, stderr);
  const blocks = stdout.split(/^> /m).slice(1).map((block) => block.trimEnd().split("\n"));
  assert.deepEqual(blocks.map(([line]) => line!.trimEnd()), LINES.map((l) => l.line.trimEnd()));
  blocks.forEach(([, ...words], i) => judge(shell, LINES[i]!.line, words));
}

const quoted = (line: string) => `'${line}'`;

Deno.test("completion in bash", async () => {
  await offers(
    "bash",
    `
. ./completion
try() {
  COMP_LINE=$1 COMP_POINT=\${#1}
  echo "> $1"
  _secllama
  printf '%s\\n' "\${COMPREPLY[@]}"
}
${LINES.map(({ line }) => `try ${quoted(line)}`).join("\n")}
`,
  );
});

Deno.test("completion in bash: after = and after a colon bash replaces only what follows", async () => {
  using folder = await shim();
  const script = await secllama(["completion", "bash"], folder.env);
  await Deno.writeTextFile(join(folder.path, "completion"), script.stdout);
  const { stdout } = await runToEnd([
    "/usr/bin/bash",
    "-c",
    `. ./completion; COMP_WORDBREAKS=$' \\t\\n=:'
     for line in 'secllama serve --gpu=nv' 'secllama run demo:la'; do
       COMP_LINE=$line COMP_POINT=\${#line}; _secllama; echo "\${COMPREPLY[@]}"
     done`,
  ], { env: folder.env, cwd: folder.path });
  assert.equal(stdout, "nvidia\nlatest\n");
});

Deno.test("completion in fish", async () => {
  await offers(
    "fish",
    `
source ./completion
${
      LINES.map(({ line }) =>
        `echo "> ${line}"; complete -C ${quoted(line)} | string replace -r '\\t.*' ''`
      ).join("\n")
    }
true # no match is no error
`,
  );
});

/** zsh completes only in an interactive shell with a terminal: the driver runs one and has it write down each match. */
Deno.test("completion in zsh", async () => {
  await offers(
    "zsh",
    `
zmodload zsh/zpty
zpty -b inner zsh -f -i
send() { zpty -w inner "$1" }
send 'PS1=; PS2=; unsetopt beep zle_bracketed_paste; autoload -Uz compinit; compinit -u -D; . ./completion'
send 'compadd() {
  if [[ \${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return $?; fi
  local -a hits; builtin compadd -A hits "$@"; print -rl -- $hits >>./found; builtin compadd "$@"
}'
send 'zstyle ":completion:*" list-prompt ""; zstyle ":completion:*" completer _complete'
send 'probe() { _main_complete; compstate[insert]=; compstate[list]=; print -r -- "<end>" >>./found }'
send 'zle -C probe complete-word probe; bindkey "^T" probe'
for line in ${LINES.map(({ line }) => quoted(line)).join(" ")}; do
  : >./found
  zpty -w -n inner "$line"$'\\C-t'
  repeat 6000; do grep -q '^<end>' found && break; sleep 0.05; done
  zpty -w -n inner $'\\C-u'
  print -r -- "> $line"; grep -v '^<end>' found
done
zpty -d inner
`,
  );
});

Deno.test("completion in PowerShell: every word of the table is in it (the script was never run)", async () => {
  using folder = await shim();
  const { code, stdout } = await secllama(["completion", "powershell"], folder.env);
  assert.equal(code, 0);
  for (const { path, options } of completionTable(COMMANDS).commands) {
    const row = stdout.split("\n").find((l) => l.startsWith(`    '${path.join(" ")}' = `));
    for (const { long } of options) assert.ok(row?.includes(`'${long}'`), `${path} ${long}`);
  }
});

Deno.test("completion of an unknown shell is an error with a hint", async () => {
  using folder = await shim();
  const { code, stdout, stderr } = await secllama(["completion", "csh"], folder.env);
  assert.equal(code, 2);
  assert.equal(stdout, "");
  assert.match(stderr, /hint: one of: bash, zsh, fish, powershell/);
});
