/**
 * What a fleet costs as it grows: with many hosts and clients, what one client that is revoked has the issuer write and how long that
 * takes, and what a host holds. Hosts are keys only, one of them reads. The store is in memory, or one node of a real NATS, whose
 * traffic is then counted at the issuer's connection. Times are of this process' processor. With --count-bases the first records of
 * the other hosts, one for each 500 clients, are not sealed nor written: their bytes are counted, by those of the host that reads.
 * What a revocation has written is real for all hosts. With --keep the run is kept in bench/fleet_growth.json, and drawn.
 *
 *     deno run -A --frozen --v8-flags=--expose-gc --config tests/deps.json bench/fleet_bench.ts
 *         [--nats] [--count-bases] [--keep] [HOSTSxCLIENTS…]
 */
import { join } from "node:path";
import process from "node:process";
import { toHex } from "../src/bytes.ts";
import { RECORDS } from "../src/fleet/bundle.ts";
import { FleetMember } from "../src/fleet/host.ts";
import { enrolHost, initIssuer } from "../src/fleet/issuer.ts";
import { joinFleet } from "../src/fleet/join.ts";
import { parseEnrolment } from "../src/fleet/lines.ts";
import { Publisher } from "../src/fleet/publisher.ts";
import { sealRecord } from "../src/fleet/record.ts";
import { FleetState } from "../src/fleet/state.ts";
import { natsPermissions } from "../src/fleet/nats_permissions.ts";
import { NatsStore } from "../src/fleet/nats_store.ts";
import { natsIdentity } from "../src/fleet/nkey.ts";
import { type FleetStore, MemoryFleetStore, StoreSource } from "../src/fleet/store.ts";
import { startNats } from "../tests/fleet/nats.ts";
import { GROWTH, growthPlot, PICTURE, type Point } from "./fleet_plot.ts";
import { type KeySource, ManifestFile, openKeySource, type PairedClient } from "../src/keys/mod.ts";
import { MemoryStore } from "../src/keys/stores/testing_memory.ts";

const option = (name: string) => Deno.args.find((arg) => arg.startsWith(name));
const named = Deno.args.filter((arg) => /^\d+x\d+$/.test(arg));
const SIZES = named.length > 0 ? named : [
  ...["1x1000", "3x1000", "10x1000", "30x1000", "100x1000", "300x1000", "1000x1000"],
  ...["2x1000", "2x3000", "2x10000", "2x30000", "2x100000"],
];
const points: Point[] = [];
const HOUR = 3_600_000;

async function machine(folder: string, name: string) {
  const dataDir = join(folder, name);
  await Deno.mkdir(dataDir);
  const store = new MemoryStore();
  const keys = await openKeySource({ dataDir, env: {}, interactive: false, autoInit: true, store });
  return { keys, state: new FleetState(new ManifestFile(dataDir), keys.storage()) };
}

/** The issuer's keys with so many clients: a list of them on the disk is another matter. */
function withClients(keys: KeySource, count: number) {
  const made = new Date().toISOString();
  const clients = new Map<string, PairedClient>();
  for (let i = 0; i < count; i++) {
    const id = i.toString(16).padStart(32, "0");
    clients.set(id, { id, name: `c${i}`, created: made, revoked: null, kid: "" } as PairedClient);
  }
  return {
    hid: keys.hid,
    changes: () => keys.changes(),
    clients: () => ({ read: () => Promise.resolve({ clients: [...clients.values()] }) }),
    /** A ring that knows them all: of the host's own, but for who is in it. */
    ring: async () => {
      const ring = await keys.ring();
      return new Proxy(ring, {
        get(target, name) {
          if (name === "idsOf") return (id: string) => [`client.${ring.activeKid}.${id}`];
          if (name === "newer") return () => undefined;
          if (name === "hostPskFor") return () => new Uint8Array(32).fill(1);
          const value = Reflect.get(target, name, target);
          return typeof value === "function" ? value.bind(target) : value;
        },
      });
    },
    revoke: (i: number) => clients.delete(i.toString(16).padStart(32, "0")),
  };
}

/** Of this process, with its threads: other work on the machine does not count. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** What is in use after a collection. Without --expose-gc there is none, and the figure says little. */
async function heldMiB(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    // What has just ended still hangs on a promise.
    await new Promise((resolve) => setTimeout(resolve));
    (globalThis as { gc?: () => void }).gc?.();
  }
  const { heapUsed, external } = Deno.memoryUsage();
  return (heapUsed + external) / 2 ** 20;
}

/** With --count-bases: seals as issuers do, but for the bases of other hosts than `reader`, which the store only counts. */
function counting(store: FleetStore, reader: string) {
  const lengths: PromiseWithResolvers<number>[] = [];
  const lengthOf = (part: number) => lengths[part] ??= Promise.withResolvers();
  let counted = 0;
  const seal: typeof sealRecord = async (clear, contents, to) => {
    if (clear.kind === "base" && clear.hid !== reader) {
      return `counted ${await lengthOf(clear.at).promise}`;
    }
    const text = await sealRecord(clear, contents, to);
    if (clear.kind === "base") lengthOf(clear.at).resolve(text.length);
    return text;
  };
  const put = async (name: string, text: string) => {
    const length = /^counted (\d+)$/.exec(text)?.[1];
    if (length === undefined) return await store.put(name, text);
    counted += Number(length);
  };
  const counts = new Proxy(store, {
    get(target, name) {
      if (name === "put") return put;
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return { store: counts, seal, bytes: () => counted };
}

/** A store, what was written to it, and its end. */
async function openStore(seed: Uint8Array) {
  if (option("--nats") === undefined) {
    const store = new MemoryFleetStore();
    return { store, bytes: () => store.written.bytes, [Symbol.asyncDispose]: async () => {} };
  }
  const { user } = natsIdentity(seed);
  const users = { users: [natsPermissions(user, "issuer")] };
  const nats = await startNats(`authorization: ${JSON.stringify(users)}`);
  const { servers, ca } = nats;
  const store = await NatsStore.open({ servers, ca, seed, replicas: 1 });
  return {
    store,
    /** Both ways. */
    bytes() {
      const { inBytes, outBytes } = store.stats();
      return inBytes + outBytes;
    },
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await nats[Symbol.asyncDispose]();
    },
  };
}

/** What was measured so far: a run that is ended is not lost. */
async function keep(): Promise<void> {
  const rounded = points.map((point) =>
    Object.fromEntries(Object.entries(point).map(([what, n]) => [what, Number(n.toFixed(2))]))
  );
  const run = { day: new Date().toISOString().slice(0, 10), args: Deno.args, points: rounded };
  await Deno.writeTextFile(GROWTH, JSON.stringify(run, null, 2) + "\n");
  await Deno.writeTextFile(PICTURE, growthPlot(rounded as unknown as Point[]));
}

console.log(
  "hosts clients | all written: CPU s  MiB | one revoked: CPU ms  KiB  KiB a host | a host: MiB  CPU ms to read all  one",
);
for (const size of SIZES) {
  const [hosts, clients] = size.split("x").map(Number);
  const folder = await Deno.makeTempDir({ prefix: "secllama-bench-" });
  try {
    const issuer = await machine(folder, "issuer");
    const pin = await initIssuer(issuer.state, issuer.keys);
    const first = await machine(folder, "host");
    const line = await joinFleet(first.state, {
      pin,
      label: "gpu-0",
      hid: first.keys.hid,
      audit: new Uint8Array(32),
    });
    const enrolment = await parseEnrolment(line, /^[a-z0-9-]+$/);
    await enrolHost(issuer.state, enrolment);
    for (let i = 1; i < hosts!; i++) {
      const hid = crypto.getRandomValues(new Uint8Array(16));
      await enrolHost(issuer.state, { ...enrolment, label: `gpu-${i}`, hid });
    }
    await using opened = await openStore(new Uint8Array(32).fill(7));
    const isCounting = option("--count-bases") !== undefined;
    const counted = isCounting ? counting(opened.store, toHex(first.keys.hid)) : undefined;
    const store = counted?.store ?? opened.store;
    const written = () => opened.bytes() + (counted?.bytes() ?? 0);
    const keys = withClients(issuer.keys, clients!);
    // deno-lint-ignore no-explicit-any
    using publisher = new Publisher(issuer.state, keys as any, store, counted?.seal);
    const publish = async () => {
      const before = written();
      const at = cpuMs();
      await publisher.publish({ now: Date.now(), lifeMs: HOUR });
      return { ms: cpuMs() - at, bytes: written() - before };
    };
    const all = await publish();
    const source = await StoreSource.watching(store, RECORDS.head(toHex(first.keys.hid)));
    const member = new FleetMember(first.state, first.keys, { source });
    const held = await heldMiB();
    const at = cpuMs();
    await member.read();
    const readMs = cpuMs() - at;
    const hostMiB = await heldMiB() - held;
    const times = [];
    for (let i = 0; i < 5; i++) {
      keys.revoke(i);
      times.push(await publish());
    }
    times.sort((a, b) => a.ms - b.ms);
    const { ms, bytes } = times[2]!;
    const before = cpuMs();
    await member.read();
    const takenMs = (cpuMs() - before) / times.length;
    points.push({ hosts: hosts!, clients: clients!, ms, kib: bytes / 1024, readMs, hostMiB });
    console.log(
      `${hosts} ${clients} | ${(all.ms / 1000).toFixed(1)} ${(all.bytes / 2 ** 20).toFixed(1)} | ${
        ms.toFixed(0)
      } ${(bytes / 1024).toFixed(0)} ${(bytes / 1024 / hosts!).toFixed(1)} | ${
        hostMiB.toFixed(1)
      } ${readMs.toFixed(0)} ${takenMs.toFixed(1)}`,
    );
    if (option("--keep") !== undefined) await keep();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
