/**
 * What keys cost: store, lookup, rotate and derive, medians of one run, over a private gnome-keyring and over memory. The
 * difference is the start of secret-tool and gdbus: a few processes for each item.
 *
 *     deno run -A bench/keys_bench.ts
 *
 * `benchKeys` is what `deno task bench` calls.
 */
import { deriveAudit, deriveStorage } from "../src/keys/derive.ts";
import { deriveTransport } from "../src/sealed/psk.ts";
import { deriveBoxKey, newKdf } from "../src/keys/stores/envelope.ts";
import { encodeKey, kidOf, newKey } from "../src/keys/keyset/kid.ts";
import { KeyManager } from "../src/keys/keyset/manager.ts";
import { ManifestFile } from "../src/keys/keyset/manifest_file.ts";
import type { KeyStore } from "../src/keys/stores/store.ts";
import { SecretServiceStore } from "../src/keys/stores/linux.ts";
import { MemoryStore } from "../src/keys/stores/memory.ts";
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
  const value = ms < 1 ? `${(ms * 1000).toFixed(0)} µs` : `${ms.toFixed(1)} ms`;
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
      await deriveAudit(key);
    }),
  );
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
