/** `secllama fleet publish`: what each host of the fleet is to have, into a folder or into NATS. */
import { join } from "node:path";
import { utf8 } from "../bytes.ts";
import { parseDurationMs } from "../config/duration.ts";
import { parseAuthority } from "../config/authority.ts";
import { isMeantAsServers, parseNatsServers } from "../config/nats_servers.ts";
import { SecLlamaError } from "../errors.ts";
import { RECORDS } from "../fleet/bundle.ts";
import { HeadKeeper } from "../fleet/heads.ts";
import type { Replicas } from "../fleet/nats_link.ts";
import { asIssuer, fleetHosts } from "../fleet/issuer.ts";
import { Publisher } from "../fleet/publisher.ts";
import type { FleetHost, FleetState } from "../fleet/state.ts";
import { FileSource, type FleetStore, MemoryFleetStore, packRecords } from "../fleet/store.ts";
import { HINTS } from "../hints.ts";
import { ioError, type KeySource, writeFileAtomically } from "../keys/mod.ts";
import { pause } from "../pause.ts";
import { secret } from "../secret.ts";
import { readFileUpTo } from "./audit/read.ts";
import { type Command, type CommandContext, flag, stringOption } from "./command.ts";
import { withFleet } from "./fleet_common.ts";
import { EXIT_CODES, OPTIONS, report } from "./key_common.ts";

/** How often `publish --watch` looks for a change of keys or clients. */
const WATCH_MS = 250;
/** What is over sooner was never good for any host. */
const MIN_LIFE_MS = 1_000;
/** For nodes of NATS that were just started, ms. */
const LEADER_MS = 30_000;

const decoder = new TextDecoder();

/** How NATS is reached, of the commands that do. */
export const NATS_OPTIONS = {
  ca: { type: "string", value: "FILE", help: "PEM of the authority of the NATS servers" },
} as const;

/** `secllama fleet publish`. */
export const publishCommand: Command = {
  path: ["fleet", "publish"],
  example: "secllama fleet publish tls://nats-1:4222,tls://nats-2:4222 --watch",
  summary:
    "Write what each host is to have into a folder, LABEL.fleet, or into NATS, on the issuer",
  arguments: "TO",
  minPositionals: 1,
  maxPositionals: 1,
  options: {
    ...OPTIONS,
    ...NATS_OPTIONS,
    valid: { type: "string", value: "AGE", help: "how long hosts may serve by it (default 1h)" },
    replicas: {
      type: "string",
      value: "N",
      help: "nodes of NATS that keep it: 1, 3 or 5 (default: as many as do, 1 at first)",
    },
    watch: {
      type: "boolean",
      help: "go on: again when keys, clients or hosts change, and in time",
    },
    "after-restore": {
      type: "boolean",
      help: "the first time, also if this folder is older than what was published",
    },
  },
  details:
    `TO is a folder, or servers of NATS: tls://nats-1:4222,tls://nats-2:4222. A host serves by its
file, or by these servers: secllama serve --fleet. All of it is sealed to its host and signed; whoever
carries it can only keep it back. A folder that was put back from a backup may have clients and hosts that were taken
away since: it is refused until --after-restore is given once.${EXIT_CODES}`,
  async run(context) {
    const lifeMs = parseDurationMs(stringOption(context, "valid") ?? "1h", "--valid", MIN_LIFE_MS);
    return await withFleet(context, async (state, keys) => {
      const to = context.positionals[0]!;
      await using target = await openTarget(context, state, to);
      using publisher = new Publisher(state, keys, target.store);
      await using heads = flag(context, "watch") && target.isShared
        ? await HeadKeeper.start(state, target.store)
        : undefined;
      let isRestored = flag(context, "after-restore");
      let isTold = false;
      await publishOnChange({
        look: async () => `${await look(state, keys)} ${target.times()}`,
        write: async () => {
          const times = target.times();
          let taken: string | undefined;
          const onTaken = async () => {
            taken = `${await look(state, keys)} ${times}`;
          };
          const hosts = await publisher.publish({ now: Date.now(), lifeMs, isRestored, onTaken });
          isRestored = false;
          if (hosts.length === 0 && !isTold) {
            context.tui.warn("the fleet has no host: secllama fleet enrol takes one in");
            isTold = true;
          }
          await heads?.look();
          const paths = await target.written(hosts, await fleetHosts(state));
          report(context, { files: paths }, paths);
          return taken;
        },
        everyMs: lifeMs / 4,
        goOn: async () => {
          if (!flag(context, "watch")) return false;
          await pause(WATCH_MS, context.signal);
          return !context.signal.aborted;
        },
        // A store that is away comes back; what fails at the first time is told.
        onFailed: (error) => context.tui.warn(error.message),
      });
    });
  },
};

interface Target extends AsyncDisposable {
  readonly store: FleetStore;
  /** Whether hosts say something there. */
  readonly isShared: boolean;
  /** How often it was reached anew: what was there may be lost. */
  times(): number;
  /** Called after each writing. @param all Those that were taken out too. @returns What to tell of it. */
  written(hosts: readonly FleetHost[], all: readonly FleetHost[]): Promise<string[]>;
}

async function openTarget(
  context: CommandContext,
  state: FleetState,
  to: string,
): Promise<Target> {
  const given = stringOption(context, "replicas");
  if (!isMeantAsServers(to)) {
    for (const name of ["ca", "replicas"]) {
      if (stringOption(context, name) === undefined) continue;
      throw new SecLlamaError("usage", `--${name} is for NATS, and TO is a folder`, {
        field: `--${name}`,
        hint: "servers are written tls://nats-1:4222,tls://nats-2:4222; for a folder leave it out",
      });
    }
    if (to.trim() === "") {
      throw new SecLlamaError("usage", "TO is empty", {
        hint: "name a folder, or servers of NATS: tls://nats-1:4222,tls://nats-2:4222",
      });
    }
    return await folderTarget(to);
  }
  if (given !== undefined && !/^[135]$/.test(given)) {
    throw new SecLlamaError("usage", "--replicas must be 1, 3 or 5", {
      field: "--replicas",
      hint: "as many as NATS has nodes; one is lost without a copy being lost by 3, two by 5",
    });
  }
  let times = 0;
  const store = await openNats(context, state, to, {
    replicas: given === undefined ? { atFirst: 1 } : Number(given),
    onReached: (isThere) => void (times += Number(isThere)),
  });
  return {
    store,
    isShared: true,
    times: () => times,
    written: (hosts) => Promise.resolve(hosts.map(({ label }) => label)),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

/** The fleet's NATS, as the issuer. @param making `replicas` makes the bucket if it is not there. */
export async function openNats(
  context: CommandContext,
  state: FleetState,
  to: string,
  making: { replicas?: Replicas; onReached?: (isThere: boolean) => void } = {},
): Promise<FleetStore> {
  const servers = parseNatsServers(to, "SERVERS");
  const { NatsStore } = await import("../fleet/nats_store.ts");
  const there = await asIssuer(state);
  using seed = secret(there.seed);
  const path = stringOption(context, "ca");
  return await NatsStore.open({
    ...{ servers, seed, leaderMs: LEADER_MS },
    ...(path !== undefined &&
      {
        ca: parseAuthority(
          decoder.decode(await readFileUpTo(path)),
          "--ca",
          HINTS.natsAuthority,
        ),
      }),
    ...making,
  });
}

async function folderTarget(folder: string): Promise<Target> {
  const store = new MemoryFleetStore();
  await readHeads(folder, store);
  return {
    store,
    isShared: false,
    times: () => 0,
    async written(hosts, all) {
      await Deno.mkdir(folder, { recursive: true, mode: 0o700 }).catch((error) => {
        throw ioError("make the folder", folder, error);
      });
      const write = async ({ label, hid }: FleetHost) => {
        const records = new Map<string, string>();
        for (const name of await store.list(RECORDS.of(hid))) {
          records.set(name, (await store.get(name))!);
        }
        const path = join(folder, `${label}.fleet`);
        await writeFileAtomically(path, utf8(packRecords(records)));
        return path;
      };
      // Who carries the files brings a host that was taken out its last one, unless another one has its name.
      const taken = new Set(hosts.flatMap(({ label, hid }) => [label, hid]));
      for (const host of all.toReversed()) {
        if (taken.has(host.label) || taken.has(host.hid)) continue;
        taken.add(host.label).add(host.hid);
        await write(host);
      }
      const paths: string[] = [];
      for (const host of hosts) paths.push(await write(host));
      return paths;
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

/** The heads of the files that are there, by which the publisher knows what was published. */
async function readHeads(folder: string, store: FleetStore): Promise<void> {
  const files = await Array.fromAsync(Deno.readDir(folder)).catch(() => []);
  for (const { name } of files.filter(({ name }) => name.endsWith(".fleet"))) {
    // One that is damaged is written over.
    const records = await new FileSource(join(folder, name)).records().catch(() => new Map());
    for (const [record, text] of records) {
      if (RECORDS.isHead(record)) await store.put(record, text);
    }
  }
}

/**
 * Writes once, and as long as `goOn` says so again: when `look` finds a change, and after `everyMs` without one. It looks before
 * it writes, so that what changes meanwhile (a client that is revoked) is written the next time. What fails after the first time
 * is tried again.
 * @param o.write Returns what it took up, as `look` says it: it may have waited for a command that was changing more; undefined: what
 * there was before.
 */
export async function publishOnChange({ look, write, everyMs, goOn, onFailed = () => {} }: {
  look: () => Promise<string>;
  write: () => Promise<string | undefined>;
  everyMs: number;
  goOn: () => Promise<boolean>;
  onFailed?: (error: Error) => void;
}): Promise<void> {
  let found = await look();
  let [isBlind, isFailing] = [false, false];
  /** A key store that is locked for a moment ends nothing. It is told once. */
  const lookAgain = async () => {
    try {
      found = await look();
      isBlind = false;
    } catch (error) {
      if (!(error instanceof SecLlamaError)) throw error;
      if (!isBlind) onFailed(error);
      isBlind = true;
    }
  };
  for (let times = 0;; times++) {
    let seen: string | undefined = found;
    const at = Date.now();
    try {
      seen = await write() ?? found;
      isFailing = false;
    } catch (error) {
      if (times === 0 || !(error instanceof SecLlamaError)) throw error;
      // Four times a second while NATS is away: the first time is enough.
      if (!isFailing) onFailed(error);
      isFailing = true;
      seen = undefined;
    }
    do {
      if (!await goOn()) return;
      await lookAgain();
    } while (found === seen && Date.now() < at + everyMs);
  }
}

/** What changes when the files should. */
async function look(state: FleetState, keys: KeySource): Promise<string> {
  const hosts = await fleetHosts(state);
  return `${await keys.changes()} ${
    hosts.map(({ hid, removed, pulls }) => `${hid}${removed}${pulls?.map(({ at }) => at)}`)
  }`;
}
