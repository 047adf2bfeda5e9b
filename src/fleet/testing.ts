/** For tests: a fleet's machines in one process. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { AuditSigner } from "../audit/mod.ts";
import type { Bytes } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import type { KeySource } from "../keys/mod.ts";
import { ManifestFile, openKeySource } from "../keys/mod.ts";
import { MemoryStore } from "../keys/stores/testing_memory.ts";
import { withFolder } from "../keys/testing.ts";
import type { FleetPin } from "../sealed/member.ts";
import { RECORDS } from "./bundle.ts";
import { FleetMember } from "./host.ts";
import { enrolHost, initIssuer } from "./issuer.ts";
import { joinFleet } from "./join.ts";
import { parseEnrolment } from "./lines.ts";
import { Publisher } from "./publisher.ts";
import { FleetState } from "./state.ts";
import { FileSource, MemoryFleetStore, packRecords } from "./store.ts";

export const LABEL = /^[a-z0-9-]+$/;
export const HOUR = 3_600_000;

/** A machine with a keyset in memory and a data folder. */
export async function machine(folder: string, name: string) {
  const dataDir = join(folder, name);
  await Deno.mkdir(dataDir);
  const store = new MemoryStore();
  const open = () => openKeySource({ dataDir, env: {}, interactive: false, autoInit: true, store });
  const keys = await open();
  return { dataDir, store, open, keys, state: stateOf(dataDir, keys) };
}

export type Machine = Awaited<ReturnType<typeof machine>>;

function stateOf(dataDir: string, keys: KeySource): FleetState {
  return new FleetState(new ManifestFile(dataDir), keys.storage());
}

/** A file for each host, as `fleet publish FOLDER` writes them. */
export async function filesOf({ state, keys }: Machine, now: number): Promise<string[]> {
  await using store = new MemoryFleetStore();
  using publisher = new Publisher(state, keys, store);
  const hosts = await publisher.publish({ now, lifeMs: HOUR });
  return await Promise.all(hosts.map(async ({ hid }) => {
    const names = await store.list(RECORDS.of(hid));
    const records = names.map(async (name) => [name, (await store.get(name))!] as const);
    return packRecords(new Map(await Promise.all(records)));
  }));
}

/** The file with another text for each record. */
export function edited(
  file: string,
  edit: (name: string, text: string) => [string, string],
): string {
  const { records } = JSON.parse(file);
  const all = Object.entries<string>(records).map(([name, text]) => edit(name, text));
  return packRecords(new Map(all));
}

/** What a test is given. */
interface TestFleet {
  issuer: Machine;
  hosts: readonly Machine[];
  pin: FleetPin;
  clock: { now: number };
  publish: () => Promise<readonly string[]>;
  member: (i: number, text?: string) => Promise<FleetMember>;
  laptop: { pskId: string; psk: Bytes; hid: Bytes };
  folder: string;
}

/** An issuer, two hosts that joined, and a laptop that is paired with the issuer. */
export async function withFleet(
  test: (fleet: TestFleet) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const issuer = await machine(folder, "issuer");
    const hosts = [await machine(folder, "one"), await machine(folder, "two")];
    const pin = await initIssuer(issuer.state, issuer.keys);
    for (const [i, { state, keys }] of hosts.entries()) {
      using signer = await AuditSigner.of(keys);
      const audit = signer.signing.publicKey.raw;
      const line = await joinFleet(state, { pin, label: `gpu-${i + 1}`, hid: keys.hid, audit });
      await enrolHost(issuer.state, await parseEnrolment(line, LABEL));
    }
    const client = await issuer.keys.clients().add("laptop", { replace: false, may: [] });
    using ring = await issuer.keys.ring();
    const clock = { now: 1_800_000_000_000 };
    await test({
      issuer,
      hosts,
      pin,
      clock,
      folder,
      laptop: ring.credentials(client.id)!,
      publish: () => filesOf(issuer, clock.now),
      async member(i, text) {
        const path = join(folder, `gpu-${i + 1}.fleet`);
        if (text !== undefined) await Deno.writeTextFile(path, text);
        const { state, keys } = hosts[i]!;
        const source = new FileSource(path);
        return new FleetMember(state, keys, { source, now: () => clock.now });
      },
    });
    for (const { keys } of [issuer, ...hosts]) keys[Symbol.dispose]();
  });
}

export async function refused(promise: Promise<unknown>, what: RegExp): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof SecLlamaError, String(error));
    assert.match(error.message, what);
    return true;
  });
}
