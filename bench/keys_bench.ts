/**
 * What keys cost: store, lookup, rotate and derive, medians of one run, over a private gnome-keyring and over memory. The
 * difference is the start of secret-tool and gdbus: a few processes for each item.
 *
 *     deno run -A bench/keys_bench.ts
 *
 * `benchKeys` is what `deno task bench` calls.
 */
import { utf8 } from "../src/bytes.ts";
import { deriveAuditKeys, deriveStorage } from "../src/keys/derive.ts";
import { KeyRing } from "../src/keys/mod.ts";
import { silentLogger } from "../src/log.ts";
import { FakeHost } from "../src/sealed/fake_host.ts";
import { hmacSha256, randomBytes } from "../src/sealed/primitives.ts";
import { Recipient } from "../src/sealed/recipient.ts";
import { verifyKeyDocument } from "../src/sealed/sender.ts";
import { hkdf } from "../src/sealed/suite.ts";
import { KeyFeed } from "../src/supervisor/key_feed.ts";
import { deriveTransport } from "../src/sealed/psk.ts";
import { deriveBoxKey, newKdf } from "../src/keys/stores/envelope.ts";
import { encodeKey, kidOf, newKey } from "../src/keys/keyset/kid.ts";
import { KeyManager } from "../src/keys/keyset/manager.ts";
import { ManifestFile } from "../src/keys/keyset/manifest_file.ts";
import type { KeyStore } from "../src/keys/stores/store.ts";
import { SecretServiceStore } from "../src/keys/stores/linux.ts";
import { MemoryStore } from "../src/keys/stores/testing_memory.ts";
import { missingPackages, startKeyring } from "../tests/keyring/daemon.ts";

/** Median of `rounds` times of `work`, in ms. */
async function median(rounds: number, work: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const started = performance.now();
    await work();
    times.push(performance.now() - started);
  }
  times.sort((a, b) => a - b);
  return times[Math.floor(times.length / 2)]!;
}

function row(name: string, ms: number): void {
  const value = ms < 0.01
    ? `${(ms * 1000).toFixed(2)} µs`
    : ms < 1
    ? `${(ms * 1000).toFixed(0)} µs`
    : `${ms.toFixed(1)} ms`;
  console.log(`  ${name.padEnd(64)}${value}`);
}

async function benchStore(name: string, store: KeyStore): Promise<void> {
  const value = encodeKey(newKey());
  const account = "0123456789abcdef";
  row(`${name}: store an item`, await median(15, () => store.put(account, value)));
  row(`${name}: look an item up`, await median(15, () => store.get(account)));
  row(`${name}: remove an item`, await median(5, () => store.remove(account)));
  const dataDir = await Deno.makeTempDir({ prefix: "secllama-bench-" });
  try {
    const manager = new KeyManager({ file: new ManifestFile(dataDir), store });
    await manager.init();
    row(`${name}: rotate, from lock to commit`, await median(9, () => manager.rotate()));
    row(
      `${name}: read and verify the keyset`,
      await median(15, async () => {
        (await manager.read()).activeKey.fill(0);
      }),
    );
    const storage = manager.storage();
    const records = [];
    for (let i = 0; i < 1_000; i++) records.push(await storage.wrap(newKey(), String(i)));
    await manager.rotate();
    const started = performance.now();
    for (const [i, record] of records.entries()) await storage.rewrap(record, String(i));
    row(`${name}: re-wrap 1,000 conversation keys`, performance.now() - started);
  } finally {
    await Deno.remove(dataDir, { recursive: true });
  }
}

/** Median of `rounds` times of `work`, which takes well under a microsecond or is counted in batches, in ms. */
function medianOf(rounds: number, work: (i: number) => unknown): number {
  const BATCH = 50;
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const started = performance.now();
    for (let j = 0; j < BATCH; j++) work(i * BATCH + j);
    times.push((performance.now() - started) / BATCH);
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)]!;
}

/**
 * What a key for each host and each start of a runner costs: once a client and runner, once a key document, and for each request
 * after that. "As it was": one key for all runners, and nothing from the host in a key document.
 */
async function benchDerivations(): Promise<void> {
  const ids = Array.from({ length: 10_000 }, (_, i) => i.toString(16).padStart(32, "0"));
  const [kid, older] = ["00112233445566ff", "ff00112233445566"];
  const paired = (id: string) => ({ id, name: id, created: "", revoked: null, kid: older });
  const ring = () =>
    new KeyRing({
      hid: randomBytes(16),
      gen: 1,
      keys: [kid, older].map((name, i) => ({
        ...{ kid: name, transport: randomBytes(32), active: i === 0, createdMs: 1 - i },
        ...(i > 0 && { retiredMs: Date.now() }),
      })),
      clients: new Map(ids.map((id) => [id, paired(id)])),
      roles: new Map(),
      graceMs: 3_600_000,
      now: () => new Date(),
    });
  const feed = new KeyFeed({
    keys: {
      changes: () => Promise.resolve("1"),
      ring: () => Promise.resolve(ring()),
      clients: () => ({ confirm: () => Promise.resolve() }),
    },
    receivers: () => [],
    logger: silentLogger,
  });
  await feed.refresh();
  const runner = () => ({ rn: randomBytes(32), given: new Map(), sendKeys: () => {} });
  const pskIds = ids.map((id) => `client.${kid}.${id}`);
  const started = runner();
  row(
    "first request of a client to a runner: its key, 10,000 clients",
    medianOf(100, (i) => {
      feed.give(started, pskIds[i % 10_000]!);
    }),
  );
  row("each further one: whether it has it", medianOf(100, () => feed.give(started, pskIds[0]!)));
  const renewed = runner();
  row(
    "the same with a renewal to seal, after a rotation",
    medianOf(100, (i) => {
      feed.give(renewed, `client.${older}.${ids[i % 10_000]!}`);
    }),
  );
  const challenge = "00".repeat(16);
  row(
    "a key document: the host's word",
    medianOf(100, () => {
      feed.attest(started, pskIds[0]!, { model: "demo", challenge });
    }),
  );
  feed.stop();
  const psk = randomBytes(32);
  const host = new FakeHost(() => psk);
  const recipient = await Recipient.init({ model: "demo:latest", ...host.recipient });
  const asked = { pskId: "local.x", challenge: randomBytes(16), model: "demo" };
  const document = await host.document(recipient, asked);
  const options = { ...asked, psk, hid: host.hid, sentAt: 0, receivedAt: 0 };
  row(
    "a key document: the client's check",
    await median(500, () => verifyKeyDocument(document, options)),
  );
  const core = randomBytes(61);
  row(
    "  of that, as it was: one key and one MAC",
    medianOf(100, () => {
      hmacSha256(hkdf(psk, "secllama/1 announce", 32), core, utf8("demo:latest"), asked.challenge);
    }),
  );
}

/** Prints the rows. Without the packages of a Secret Service it says so and measures memory only. */
export async function benchKeys(): Promise<void> {
  console.log("keys (medians)");
  const key = newKey();
  row("derive kid", await median(300, () => kidOf(key)));
  row(
    "derive transport, storage and audit key",
    await median(300, async () => {
      deriveTransport(key);
      await deriveStorage(key);
      await deriveAuditKeys(key);
    }),
  );
  await benchDerivations();
  const passphrase = new TextEncoder().encode("a long passphrase");
  row(
    "Argon2id of a passphrase (64 MiB, 3 passes)",
    await median(3, () => deriveBoxKey(passphrase, newKdf())),
  );
  await benchStore("memory", new MemoryStore());
  const missing = missingPackages();
  if (missing.length > 0) {
    console.log(`  SKIP: the Secret Service needs the packages ${missing.join(" ")}`);
    return;
  }
  await using keyring = await startKeyring();
  await benchStore(
    "Secret Service",
    new SecretServiceStore({ env: keyring.env, profile: "default", interactive: false }),
  );
}

if (import.meta.main) await benchKeys();
