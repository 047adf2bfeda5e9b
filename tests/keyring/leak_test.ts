/**
 * Looks for the key where it must not be: in argv and environment of every process while it is being stored, and on the
 * disk afterwards (home, temporary folder, keyring files), as base64, hexadecimal and raw bytes.
 */
import assert from "node:assert/strict";
import { concat, utf8 } from "../../src/bytes.ts";
import { KeyManager } from "../../src/keys/keyset/manager.ts";
import { ManifestFile } from "../../src/keys/keyset/manifest_file.ts";
import { type RunProgram, runProgram } from "../../src/keys/stores/program.ts";
import { SecretServiceStore } from "../../src/keys/stores/linux.ts";
import { openKeySource } from "../../src/keys/source.ts";
import { until } from "../support/patience.ts";
import { type Keyring, keyringIgnored, startKeyring } from "./daemon.ts";
import { notOn } from "../support/systems.ts";

/** argv and environment of every process that may be read, as bytes. */
async function snapshot(): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    for (const file of ["cmdline", "environ"]) {
      try {
        parts.push(await Deno.readFile(`/proc/${name}/${file}`), Uint8Array.of(10));
      } catch { /* it ended, or is another user's */ }
    }
  }
  return concat(...parts);
}

async function files(folder: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const path = `${folder}/${entry.name}`;
    parts.push(utf8(path));
    if (entry.isDirectory) parts.push(await files(path));
    else if (entry.isFile) parts.push(await Deno.readFile(path));
  }
  return concat(...parts);
}

/**
 * What was written under `folder` since `start`, as far as it can be read. Other programs write there at the same time. Other file
 * systems are left out: a /proc that somebody mounted there has files that never end.
 */
async function written(folder: string, start: Date): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  const { dev } = await Deno.lstat(folder);
  const entries = await Array.fromAsync(Deno.readDir(folder)).catch(() => []);
  for (const entry of entries) {
    const path = `${folder}/${entry.name}`;
    try {
      const { mtime, size, dev: own } = await Deno.lstat(path);
      if (own !== dev) continue;
      if (entry.isDirectory) parts.push(await written(path, start));
      else if (entry.isFile && mtime !== null && mtime >= start && size < 16 * 1024 * 1024) {
        parts.push(await Deno.readFile(path));
      }
    } catch { /* removed meanwhile, or another user's */ }
  }
  return concat(...parts);
}

/** In which forms `key` occurs in `haystack`. */
function forms(haystack: Uint8Array, key: Uint8Array): string[] {
  const text = new TextDecoder("latin1").decode(haystack);
  const latin1 = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes);
  const base64 = key.toBase64().slice(0, 42);
  const needles: [string, string][] = [
    ["raw", latin1(key)],
    ["raw half", latin1(key.subarray(0, 16))],
    ["base64", base64],
    ["base64url", base64.replaceAll("+", "-").replaceAll("/", "_")],
    ["hex", key.toHex()],
    ["HEX", key.toHex().toUpperCase()],
  ];
  return needles.filter(([, needle]) => text.includes(needle)).map(([name]) => name);
}

async function keyOf(keyring: Keyring, kid: string): Promise<Uint8Array> {
  const { stdout } = await keyring.tool("/usr/bin/secret-tool", [
    "lookup",
    "service",
    "secllama",
    "account",
    kid,
  ]);
  return Uint8Array.fromBase64(new TextDecoder().decode(stdout).slice("sl1:".length));
}

/** The programs that this process has started and that run. */
function childNames(): string[] {
  return [...Deno.readDirSync("/proc/self/task")].flatMap(({ name }) =>
    Deno.readTextFileSync(`/proc/self/task/${name}/children`).split(" ").filter(Boolean)
  ).map((pid) => {
    try {
      return Deno.readTextFileSync(`/proc/${pid}/comm`).trim();
    } catch {
      return ""; // it has ended
    }
  });
}

Deno.test({
  name: "keyring: the key is in no argv, no environment and no file, in no form",
  ignore: notOn("linux") || keyringIgnored(),
  fn: async () => {
    const start = new Date(Date.now() - 1000);
    await using keyring = await startKeyring();
    const temporary = `${keyring.home}/tmp`;
    await Deno.mkdir(temporary);
    const snapshots: Uint8Array[] = [];
    // The daemon is stopped while secret-tool runs, so that the tool is there to be looked at, with the key in its hands.
    const watched: RunProgram = async (path, args, options) => {
      if (!path.endsWith("secret-tool")) return await runProgram(path, args, options);
      Deno.kill(keyring.daemonPid, "SIGSTOP");
      const running = runProgram(path, args, options);
      await until(() => childNames().includes("secret-tool"), "secret-tool runs");
      // A moment more, so that it has read what it is given.
      await new Promise((resolve) => setTimeout(resolve, 60));
      snapshots.push(await snapshot());
      Deno.kill(keyring.daemonPid, "SIGCONT");
      return await running;
    };
    const dataDir = `${keyring.dataHome}/secllama`;
    const manager = new KeyManager({
      file: new ManifestFile(dataDir),
      store: new SecretServiceStore({
        env: { ...keyring.env, TMPDIR: temporary },
        profile: "default",
        interactive: false,
        run: watched,
      }),
    });
    const first = (await manager.init()).kid;
    const second = (await manager.rotate()).kid;
    await manager.storage().wrap(utf8("k"), "c");
    const source = await openKeySource({ dataDir, env: keyring.env, interactive: false });
    using ring = await source.ring();
    const psks = ring.idsOf().map((pskId) => ring.runnerPsk(pskId, new Uint8Array(32))!);
    psks.push(ring.credentials()!.psk);
    source[Symbol.dispose]();

    const processes = concat(...snapshots);
    const toolLine = new TextDecoder().decode(processes);
    assert.match(
      toolLine,
      /secret-tool\0store\0--label=SecLlama key [0-9a-f]{16}\0/,
      "it was seen",
    );
    const disk = await files(keyring.home);
    assert.match(new TextDecoder("latin1").decode(disk), /GnomeKeyring/, "keyring files were read");
    const shared = concat(await written("/tmp", start), await written("/dev/shm", start));
    for (const kid of [first, second]) {
      const key = await keyOf(keyring, kid);
      assert.equal(key.length, 32);
      assert.deepEqual(forms(processes, key), []);
      assert.deepEqual(forms(disk, key), []);
      assert.deepEqual(forms(shared, key), []);
    }
    for (const psk of psks) {
      assert.deepEqual(forms(processes, psk), []);
      assert.deepEqual(forms(disk, psk), []);
    }

    // The control: where a key is, this search finds it.
    const key = await keyOf(keyring, first);
    const careless = new Deno.Command("/bin/sleep", {
      args: ["86400"],
      env: { CARELESS: key.toHex() },
      clearEnv: true,
    }).spawn();
    const argv = new Deno.Command("/bin/sh", {
      args: ["-c", "read x", key.toBase64()],
      clearEnv: true,
      stdin: "piped",
    }).spawn();
    await new Promise((resolve) => setTimeout(resolve, 60));
    const found = forms(await snapshot(), key);
    assert.ok(found.includes("base64") && found.includes("hex"), String(found));
    careless.kill("SIGKILL");
    await argv.stdin.close();
    await Promise.all([careless.status, argv.status]);
    await Deno.writeFile(`${temporary}/careless`, key);
    assert.deepEqual(forms(await files(keyring.home), key), ["raw", "raw half"]);
    const control = await Deno.makeTempFile({ dir: "/tmp" });
    await Deno.writeFile(control, key);
    assert.deepEqual(forms(await written("/tmp", start), key), ["raw", "raw half"]);
    await Deno.remove(control);
  },
});
