/** Settings that are wrong are refused before a command does anything: a key that is made and then not recorded cannot be taken back. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { COMMANDS } from "../../src/cli/commands.ts";
import { makeCheapKeyFile } from "../support/key_file.ts";
import { newHome } from "../support/serve.ts";
import { FROM_SOURCE, sayAll } from "./mistakes_run.ts";

const KID = "0123456789abcdef";
/** Commands that change something of a host's, with arguments that are well-formed. */
const CHANGE: Readonly<Record<string, readonly string[]>> = {
  "import": ["file.gguf"],
  "pull": ["registry.example/a/b"],
  "create": ["new", "-f", "Modelfile"],
  "cp": ["demo", "other"],
  "rm": ["other"],
  "model add-signature": ["file.sig"],
  "history import": ["file.json"],
  "history erase": ["--all", "--yes"],
  "docs add": ["notes.txt"],
  "docs embed": [],
  "docs rm": ["1"],
  "key init": [],
  "key rotate": [],
  "key delete": [KID, "--yes"],
  "key export": ["out.keys"],
  "key import": ["in.keys"],
  "backup": ["out.backup"],
  "restore": ["in.backup"],
  "login": ["https://gateway.example"],
  "pair": ["laptop", "--url", "https://gateway.example"],
  "clients set": ["laptop", "--role", "staff"],
  "clients revoke": ["laptop"],
  "clients rename": ["laptop", "desktop"],
  "clients reset": ["--yes"],
  "fleet init": [],
  "fleet remove": ["gpu-1"],
  "fleet publish": ["out"],
  "fleet pull": ["registry.example/a/b", "--on", "gpu-1"],
  "fleet nats": [],
  "token create": ["app"],
  "token revoke": ["app"],
  "role set": ["staff"],
  "role remove": ["staff"],
  "audit export": ["out.jsonl"],
  "audit prune": ["--before", "1d"],
  "receipt get": ["0".repeat(32), "out.cose"],
};
/** Others: they run on and read their settings at the start, or they change nothing that lasts. */
const OTHERS = [
  ..."serve proxy ui run launch wait list ps stop show verify status doctor paths version".split(
    " ",
  ),
  ..."completion help uninstall".split(" "),
  // Of a file, with a key that is named: no setting has a say.
  ...[
    "model sign",
    "model verify",
    "history list",
    "history show",
    "history search",
    "history export",
  ],
  // Their argument is a line that another machine made, and is judged before anything else.
  ...["fleet join", "fleet enrol"],
  ...["docs list", "docs ask", "key status", "key list", "clients list", "fleet hosts"],
  ...["fleet status", "fleet audit verify", "token list", "role list", "audit list"],
  ...["audit verify", "audit key", "audit prove", "receipt verify", "sandbox plan"],
  ...["service install", "service status", "service run", "service uninstall"],
];

async function filesOf(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) found.push(path, ...await filesOf(path));
    else found.push(`${path} ${(await Deno.lstat(path)).mtime?.getTime()}`);
  }
  return found.sort();
}

Deno.test("settings first: what a variable or the config file has wrong is refused before anything is done", async () => {
  assert.deepEqual(
    COMMANDS.filter(({ hidden }) => hidden !== true).map(({ path }) => path.join(" ")).sort(),
    [...Object.keys(CHANGE), ...OTHERS].sort(),
    "each command is in one of the two lists",
  );
  const { home, env: base } = await newHome();
  const env = { ...base, XDG_STATE_HOME: join(home, "state") };
  await Deno.mkdir(join(home, "data"), { mode: 0o700 });
  await makeCheapKeyFile(join(home, "keys"), "a passphrase that nobody else has");
  await Deno.copyFile(
    new URL("../../models/demo.gguf", import.meta.url).pathname,
    join(home, "file.gguf"),
  );
  const texts = ["Modelfile", "file.sig", "file.json", "notes.txt", "in.keys"];
  for (const name of [...texts, "in.backup"]) {
    await Deno.writeTextFile(join(home, name), "FROM demo\n");
  }
  await Deno.writeTextFile(join(home, "bad.toml"), "model_polcy = 1\n", { mode: 0o600 });
  const data = { SECLLAMA_DATA_DIR: join(home, "data") };
  const wrong: [Record<string, string>, RegExp][] = [
    [{ SECLLAMA_KEY_FILE: "x" }, /unknown environment variable SECLLAMA_KEY_FILE/],
    [{ SECLLAMA_AUDIT: "onn" }, /SECLLAMA_AUDIT must be/],
    [{ SECLLAMA_CONFIG: join(home, "bad.toml") }, /model_polcy/],
  ];
  const takesKeys = new Set(
    COMMANDS.filter(({ options }) => "key-file" in options).map(({ path }) => path.join(" ")),
  );
  const lines = wrong.flatMap(([extra, expected]) =>
    Object.entries(CHANGE).map(([words, args]) => ({
      args: [
        ...[...words.split(" "), ...args],
        ...(takesKeys.has(words) ? ["--key-file", join(home, "keys")] : []),
      ],
      env: { ...data, ...extra },
      expected,
    }))
  );
  const before = await filesOf(home);
  try {
    const said = await sayAll(lines, { argv: FROM_SOURCE, env, cwd: home });
    const wrongly = said.flatMap(({ code, stderr }, i) =>
      code === 2 && lines[i]!.expected.test(stderr) ? [] : [[lines[i]!.args.join(" "), stderr]]
    );
    assert.deepEqual(wrongly, []);
    assert.deepEqual(await filesOf(home), before);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
