/**
 * `secllama key …` as a process of its own, against the real key store, with the least permissions it needs: as whoever runs
 * the tests, and where that is root, as an ordinary user as well.
 */
import assert from "node:assert/strict";
import { encodeKey, newKey } from "../../src/keys/keyset/kid.ts";
import { makeCheapKeyFile } from "../support/key_file.ts";
import { type Keyring, keyringIgnored, startKeyring } from "./daemon.ts";
import { makeProgram, permissions, type Program } from "./program.ts";

const ignore = keyringIgnored();
const full = Deno.env.get("SECLLAMA_FULL") === "1";
/** Debian's `nobody`: an ordinary user with no home of its own. */
const NOBODY = 65_534;

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function runner(program: Program, keyring: Keyring, uid: number | undefined) {
  return async (
    words: string,
    options: { env?: Record<string, string>; fd5?: string; fd6?: string } = {},
  ): Promise<Result> => {
    // Descriptors 5 and 6 are files here; in life they are pipes or process substitutions.
    let redirect = "";
    for (const [fd, text] of [[5, options.fd5], [6, options.fd6]] as const) {
      if (text === undefined) continue;
      await Deno.writeTextFile(`${keyring.home}/fd${fd}`, text, { mode: 0o644 });
      redirect += ` ${fd}<${keyring.home}/fd${fd}`;
    }
    const user = uid === undefined
      ? []
      : ["/usr/bin/setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", "--"];
    const child = new Deno.Command("/bin/sh", {
      args: [
        "-c",
        `exec "$@" ${redirect}`,
        "sh",
        ...user,
        program.deno,
        "run",
        ...permissions(keyring.home),
        program.script,
        "key",
        ...words.split(" "),
      ],
      env: { ...keyring.env, ...options.env },
      clearEnv: true,
      cwd: "/",
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
    const { code, stdout, stderr } = await child.output();
    return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
  };
}

function expect(result: Result, code: number, err?: RegExp): Result {
  assert.equal(result.code, code, `${result.out}\n${result.err}`);
  if (err) assert.match(result.err, err);
  return result;
}

async function wholeLife(program: Program, uid: number | undefined): Promise<void> {
  await using keyring = await startKeyring({
    password: "pw",
    ...(uid === undefined ? {} : { uid }),
  });
  const key = runner(program, keyring, uid);
  const json = async (words: string, code = 0) =>
    JSON.parse(expect(await key(`${words} --json`), code).out);

  expect(await key("status"), 3, /encryption key not found\nhint: .*secllama key init/);
  expect(await key("rotate"), 3, /error: encryption key not found\nhint: .*secllama key init/);
  const { kid: first } = await json("init");
  expect(await key("init"), 7, /there is a keyset already/);
  const { kid: second, previous } = await json("rotate");
  assert.equal(previous, first);
  assert.deepEqual(
    (await json("list")).keys.map((k: { kid: string; state: string }) => [k.kid, k.state]),
    [[second, "active"], [first, "decrypt-only"]],
  );
  const status = await json("status");
  assert.deepEqual(
    [status.schema, status.backend, status.locked, status.encryptedAtRest, status.active],
    [1, "secret-service", false, "yes", second],
  );
  const both = await Promise.all([key("rotate"), key("rotate")]);
  assert.deepEqual(both.map((result) => result.code), [0, 0], "two processes at once");
  assert.equal((await json("list")).keys.length, 4);
  expect(await key(`rotate --to ${first}`), 0);
  // Each start of the program costs half a second: a plain run takes one of these.
  for (const words of [`rotate --to ${first} --compromised`, "rotate --to xyz", "delete"]) {
    if (full) expect(await key(words), 2);
  }
  expect(await key("rotate --nonsense"), 2);
  expect(await key(`delete ${first}`), 9, /is the active one/);
  expect(
    await key(`delete ${second}`),
    9,
    /What becomes unreadable[^]*nobody was there to confirm/,
  );

  const file = `${keyring.home}/export.json`;
  expect(await key(`export ${file}`), 4, /no passphrase was given/);
  expect(await key(`export ${file} --passphrase-fd 5`, { fd5: "short\n" }), 2, /at least 8/);
  expect(await key(`export ${file} --passphrase-fd 5`, { fd5: "a long passphrase\n" }), 0);
  expect(
    await key(`export ${file} --passphrase-fd 5`, { fd5: "a long passphrase\n" }),
    2,
    /exists/,
  );
  assert.doesNotMatch(await Deno.readTextFile(file), /sl1:/);

  expect(await key(`delete ${second} --yes`), 0);
  expect(await key(`import ${file} --passphrase-fd 5`, { fd5: "wrong passphrase" }), 4);
  const { out } = expect(
    await key(`import ${file} --passphrase-fd 5`, { fd5: "a long passphrase" }),
    0,
  );
  assert.match(out, new RegExp(`not added, it was destroyed here: ${second}`));
  expect(await key(`import ${file} --revive --passphrase-fd 5`, { fd5: "a long passphrase" }), 0);

  await Deno.remove(`${keyring.dataHome}/secllama/keyset.json`);
  expect(await key("status"), 6);
  expect(await key("init"), 6, /keyset.json is missing/);
  assert.deepEqual((await json("init --recover")).active, first);

  // Keys from outside do not rotate, and say why.
  const outside = new TextDecoder().decode(encodeKey(newKey()));
  const refusal = /cannot rotate a key from the environment \(SECLLAMA_KEY\)/;
  expect(await key("rotate", { env: { SECLLAMA_KEY: outside } }), 9, refusal);
  expect(await key("rotate --key-fd 5", { fd5: outside }), 9, /a file descriptor/);
  expect(await key("rotate --ephemeral"), 9, /memory only/);
  const fixed = expect(await key("status --key-fd 5 --json", { fd5: outside + "\n" }), 0);
  assert.equal(JSON.parse(fixed.out).backend, "key-fd");
  assert.deepEqual(Object.keys(JSON.parse(fixed.out)).sort(), Object.keys(status).sort());
  expect(await key("status --key-fd 999"), 2, /file descriptor 999 cannot be read/);
  assert.ok(!fixed.out.includes(outside) && !fixed.err.includes(outside));

  // A key file is another store: the keyset here is not in it.
  const keyFile = `--key-file ${keyring.home}/keys.json --passphrase-fd 5`;
  const fd5 = "a long passphrase\n";
  expect(await key(`status ${keyFile}`, { fd5 }), 9, /lives in the Secret Service key store/);
  const elsewhere = { SECLLAMA_DATA_DIR: `${keyring.home}/elsewhere` };
  if (!full) {
    await makeCheapKeyFile(`${keyring.home}/keys.json`, fd5.trim());
    if (uid !== undefined) await Deno.chown(`${keyring.home}/keys.json`, uid, uid);
  }
  expect(await key(`init ${keyFile}`, { fd5, env: elsewhere }), 0);
  expect(await key(`rotate ${keyFile}`, { fd5, env: elsewhere }), 0);
  expect(await key(`status ${keyFile}`, { fd5: "another passphrase", env: elsewhere }), 4);
  await Deno.chmod(`${keyring.home}/keys.json`, 0o644);
  const readable = await key(`list ${keyFile}`, { fd5, env: elsewhere });
  assert.match(readable.err, /warning: others may read the key file .*chmod 600/);

  await keyring.restartDaemon(null);
  for (const words of ["status", "rotate", ...full ? ["list", `delete ${second} --yes`] : []]) {
    expect(await key(words), 4, /locked/);
  }
  await keyring.killDaemon();
  expect(await key("status"), 5);
  expect(await key("rotate"), 5, /no program on the D-Bus session/);
}

Deno.test({
  name: "keyring: secllama key, every command and exit code, as this user and an ordinary one",
  ignore,
  fn: async (t) => {
    const folder = await Deno.makeTempDir({ prefix: "secllama-program-" });
    try {
      const program = await makeProgram(folder);
      if (Deno.uid() !== 0) {
        console.error(
          "SKIP: this is not root, so the run as this user is the one as an ordinary user",
        );
        await t.step("as this user", () => wholeLife(program, undefined));
        return;
      }
      await t.step("as an ordinary user", () => wholeLife(program, NOBODY));
      if (!full) console.error("skipped: as root; set SECLLAMA_FULL=1");
      await t.step({
        name: "as root",
        ignore: !full,
        fn: () => wholeLife(program, undefined),
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
