/**
 * SIGKILL at random moments of rotations and wraps, over the real key store: no key is lost, one key is active, and every
 * record still opens. A seeded sample in `task test`; SECLLAMA_FULL=1 makes it at least 200 kills and 1,000 records.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { KeyManager } from "../../src/keys/keyset/manager.ts";
import { ManifestFile } from "../../src/keys/keyset/manifest_file.ts";
import { SecretServiceStore } from "../../src/keys/stores/linux.ts";
import { type Keyring, keyringIgnored, startKeyring } from "./daemon.ts";
import { seeded } from "../support/seeds.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
const KILLS = FULL ? 200 : 16;
const MIN_RECORDS = FULL ? 1_000 : 50;
const SEED = Number(Deno.env.get("SECLLAMA_SEED") ?? 20260401);
/** At first. A life that adds no record was too short for this machine, as loaded as it is: the next ones may last longer. */
const LONGEST_LIFE_MS = 600;

function managerOf(keyring: Keyring): KeyManager {
  return new KeyManager({
    file: new ManifestFile(`${keyring.dataHome}/secllama`),
    store: new SecretServiceStore({ env: keyring.env, profile: "default", interactive: false }),
  });
}

async function readRecords(path: string): Promise<[index: number, wrapped: Uint8Array][]> {
  const text = await Deno.readTextFile(path).catch(() => "");
  // Whole lines only: the last one may have been cut by the kill.
  return [...text.matchAll(/^(\d+) ((?:[0-9a-f]{2}){72})\n/gm)]
    .map((match) => [Number(match[1]), Uint8Array.fromHex(match[2]!)]);
}

async function liveOneLife(keyring: Keyring, records: string, index: number, lifeMs: number) {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      "--quiet",
      new URL("storm_child.ts", import.meta.url).pathname,
      `${keyring.dataHome}/secllama`,
      records,
      String(index),
    ],
    env: keyring.env,
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  const { done } = await reader.read();
  if (!done) {
    await new Promise((resolve) => setTimeout(resolve, lifeMs));
    try {
      child.kill("SIGKILL");
    } catch { /* it has ended: the assertion below says why */ }
  }
  await reader.cancel();
  const errors = await new Response(child.stderr).text();
  const { signal } = await child.status;
  assert.equal(signal, "SIGKILL", `the child ended by itself: ${errors}`);
}

Deno.test({
  name: `keyring: a storm of ${KILLS} kills loses no key and no record`,
  ignore: keyringIgnored(),
  fn: async () => {
    await using keyring = await startKeyring();
    const records = `${keyring.home}/records`;
    const next = seeded(SEED);
    const seen = new Set<string>([(await managerOf(keyring).init()).kid]);
    let interrupted = 0;
    const check = async () => {
      const manager = managerOf(keyring);
      const keys = await manager.list();
      assert.equal(keys.filter((key) => key.state === "active").length, 1);
      const kids = new Set(keys.map((key) => key.kid));
      for (const kid of seen) assert.ok(kids.has(kid), `the key ${kid} is lost`);
      for (const kid of kids) seen.add(kid);
      const storage = manager.storage();
      const lines = await readRecords(records);
      for (const [index, wrapped] of lines) {
        const secret = createHash("sha256").update(`record ${index}`).digest();
        assert.deepEqual(await storage.unwrap(wrapped, `record ${index}`), new Uint8Array(secret));
      }
      return lines.length;
    };
    let kills = 0;
    let count = 0;
    let longest = LONGEST_LIFE_MS;
    // How far a rotation is when the kill comes is luck: the storm goes on until one was hit.
    while (kills < KILLS || count < MIN_RECORDS || interrupted === 0) {
      const lines = await readRecords(records);
      await liveOneLife(
        keyring,
        records,
        Math.max(0, ...lines.map(([index]) => index + 1)),
        next() * longest,
      );
      kills++;
      const manifest = await managerOf(keyring).manifest();
      if (manifest?.pending) interrupted++;
      const before = lines.length;
      const after = (await readRecords(records)).length;
      if (after === before) longest *= 1.2;
      count = kills % 25 === 0 || kills >= KILLS ? await check() : after;
      assert.ok(
        kills < 5 * KILLS,
        `only ${count} records and ${interrupted} hit rotations after ${kills} kills`,
      );
    }
    count = await check();
    await managerOf(keyring).rotate();
    const status = await managerOf(keyring).status();
    assert.deepEqual([status.exitCode, status.pending, status.headBehind], [0, null, false]);
    console.log(
      `storm: seed ${SEED}, ${kills} kills, ${interrupted} inside a change, ${seen.size} keys, ` +
        `${count} records, ${status.orphans!.length} orphans`,
    );
  },
});
