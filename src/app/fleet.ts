/** The fleet's part of `serve`, where the settings name a file of its issuer, or the NATS that its records are in. */
import { certificateFault } from "../client/certificate_fault.ts";
import type { Config } from "../config/config.ts";
import { parseAuthority } from "../config/authority.ts";
import { parseNatsServers } from "../config/nats_servers.ts";
import { type ErrorCode, SecLlamaError, toSecLlamaError } from "../errors.ts";
import { toHex } from "../bytes.ts";
import { RECORDS } from "../fleet/bundle.ts";
import { UsageFile } from "../firm/usage_file.ts";
import { Heartbeat } from "../fleet/heartbeat.ts";
import { FleetMember } from "../fleet/host.ts";
import { FleetUsage } from "../fleet/usage.ts";
import { LateSource } from "../fleet/late_source.ts";
import { PulledFile } from "../fleet/pulled_file.ts";
import { FleetPulls } from "../fleet/pulls.ts";
import type { HostReport, PullState } from "../fleet/report.ts";
import { saidHeads } from "../fleet/said_heads.ts";
import { FleetState } from "../fleet/state.ts";
import { FileSource, type FleetStore, type RecordSource, StoreSource } from "../fleet/store.ts";
import { HINTS } from "../hints.ts";
import { type KeySource, ManifestFile } from "../keys/mod.ts";
import { label, type Logger, sentence } from "../log.ts";
import type { FleetPart } from "../gateway/context.ts";
import type { ModelManagement } from "../gateway/management.ts";
import { loadedRows, tags } from "../gateway/routes/metadata.ts";
import type { ModelStore } from "../models/store.ts";
import type { Supervisor } from "../supervisor/supervisor.ts";
import { VERSION } from "../version.ts";
import type { ServeAudit } from "./audit.ts";
import type { Shutdown } from "./shutdown.ts";
import { FileTooLong, readAtMost } from "../read_up_to.ts";
import { wipe } from "../secret.ts";

/** All authorities that a system trusts are below this. */
const MAX_CA_BYTES = 4 * 2 ** 20;

/** A host's part in its fleet. */
interface OpenFleet {
  readonly member: FleetMember;
  /** What balancers know it by: what it was enrolled as, or before that is known what the settings say. */
  readonly label: () => string;
  /** Where hosts report; undefined: they do not, since a file brought the records. */
  readonly store: (() => FleetStore | undefined) | undefined;
}

/**
 * Opens it, and takes up what there is. NATS may be away: this host's own programs are served meanwhile, and it is looked for.
 * @throws {SecLlamaError} `key-refused` if this machine is no host of a fleet, or what is there is refused.
 */
export async function openFleet(
  config: Pick<Config, "fleet" | "fleetCa" | "hostLabel">,
  { dataDir, keys, logger, shutdown }: {
    readonly dataDir: string;
    readonly keys: KeySource;
    readonly logger: Logger;
    readonly shutdown: Shutdown;
  },
): Promise<OpenFleet | undefined> {
  if (config.fleet === "") return undefined;
  const state = new FleetState(new ManifestFile(dataDir), keys.storage());
  const opened = await openSource(config, state, { hid: toHex(keys.hid), logger, shutdown });
  const onRefused = ({ code, message }: SecLlamaError) => {
    const why = { code: label(code), why: sentence(message) };
    if (WAITING.includes(code)) logger.warn("fleet-waiting", why);
    else logger.error("fleet-file-refused", why);
  };
  const member = new FleetMember(state, keys, {
    source: opened.source,
    onRefused,
  });
  try {
    await member.read();
  } catch (thrown) {
    const error = toSecLlamaError(thrown);
    if (opened.store === undefined || !WAITING.includes(error.code)) throw error;
    onRefused(error);
  }
  const there = await state.read();
  wipe(there?.seed);
  const asked = there?.role === "host" ? there.label : undefined;
  refuseOtherLabel(config.hostLabel, member.label ?? asked);
  return {
    ...{ member, store: opened.store },
    label: () => member.label ?? asked ?? config.hostLabel,
  };
}

/** A host may come before its issuer has written anything for it, and before NATS. */
const WAITING: readonly ErrorCode[] = ["fleet-silent", "fleet-unreachable"];

/** Balancers and the other hosts go by the label: under another one's, requests for this host would come to that one. */
function refuseOtherLabel(given: string, enrolled: string | undefined): void {
  if (given === "" || enrolled === undefined || given === enrolled) return;
  throw new SecLlamaError("bad-config", `this host was enrolled as ${enrolled}, not ${given}`, {
    field: "--host-label",
    hint: `leave it out, or give --host-label ${enrolled}`,
  });
}

/** What the gateway and its limits ask of the fleet. Where a store is named, this host reports there, and hears of the others. */
export function fleetPart(
  { member, store, label: own }: OpenFleet,
  { config, dataDir, logger, models, supervisor, audit, pull, shutdown }: {
    readonly config: Pick<Config, "parallel">;
    readonly dataDir: string;
    readonly logger: Logger;
    readonly models: ModelStore;
    readonly supervisor: Supervisor;
    readonly audit: Pick<ServeAudit, "headSince" | "note"> | undefined;
    /** Undefined: the issuer may not have this host pull. */
    readonly pull: ModelManagement["pull"] | undefined;
    readonly shutdown: Shutdown;
  },
): { readonly gateway: FleetPart; readonly usage: FleetUsage } {
  const pulls = new FleetPulls({
    member,
    kept: PulledFile.read(dataDir),
    pull: pull && (async (model, o) => {
      const pulled = await pull(model, o);
      await audit?.note("model-pulled", { model: label(pulled.model.name), by: label("issuer") });
    }),
  });
  shutdown.add(() => pulls[Symbol.dispose]());
  const head = saidHeads((before) => audit?.headSince(before));
  const beat = store && new Heartbeat({
    ...{ member, store },
    look: async (before) => ({
      ...head(before?.audit),
      ...pullsOf(pulls.look()),
      ...{ label: own(), version: VERSION, parallel: config.parallel },
      models: await tags(models),
      loaded: await loadedRows({ models, supervisor }),
      active: supervisor.loaded().reduce((sum, model) => sum + model.active, 0),
    }),
  });
  beat?.start();
  if (beat !== undefined) shutdown.add(() => beat[Symbol.dispose]());
  const usage = new FleetUsage({
    member,
    store: store ?? (() => undefined),
    kept: () => UsageFile.read(dataDir),
    onUnread: (error) => {
      const { code, message } = toSecLlamaError(error);
      logger.error("fleet-usage-not-read", { code: label(code), why: sentence(message) });
    },
    isThere: (hid) => beat?.isThere(hid) ?? false,
  });
  if (store !== undefined) usage.start();
  shutdown.add(() => usage[Symbol.dispose]());
  const gateway: FleetPart = {
    get label() {
      return own();
    },
    get member() {
      return member.member;
    },
    hasClient: (id) => member.hasClient(id),
    place: (about) => beat?.place(about),
    others: () => beat?.others().map(({ report }) => report) ?? [],
  };
  return { gateway, usage };
}

function pullsOf(pulls: readonly PullState[]): Pick<HostReport, "pulls"> {
  return pulls.length === 0 ? {} : { pulls };
}

async function openSource(
  { fleet, fleetCa }: Pick<Config, "fleet" | "fleetCa">,
  state: FleetState,
  { hid, logger, shutdown }: { hid: string; logger: Logger; shutdown: Shutdown },
): Promise<{ source: RecordSource; store: OpenFleet["store"] }> {
  if (!fleet.startsWith("tls://")) return { source: new FileSource(fleet), store: undefined };
  // Only here is what speaks to NATS in the process; and while it may still be loaded.
  const { NatsStore } = await import("../fleet/nats_store.ts");
  const { isNotLetIn } = await import("../fleet/nats_link.ts");
  const servers = parseNatsServers(fleet, "--fleet");
  const ca = await readCa(fleetCa);
  const there = await state.read();
  if (there?.role !== "host") {
    wipe(there?.seed);
    throw new SecLlamaError("key-refused", "this machine is no host of a fleet", {
      hint: "run: secllama fleet join --label NAME, with the issuer's line",
    });
  }
  // Kept: each try to connect shows by it who we are.
  const { seed } = there;
  let told: string | undefined;
  /** What does not pass by itself, and is the operator's to mend. Once is enough. */
  const onRefused = (error: unknown) => {
    const event = certificateFault(error) !== undefined
      ? "fleet-store-certificate-refused"
      : isNotLetIn(error)
      ? "fleet-store-knows-no-such-host"
      : undefined;
    if (event !== undefined && event !== told) logger.error(event);
    told = event;
  };
  const open = async () => {
    try {
      return await NatsStore.open({
        ...{ servers, seed, onRefused },
        ...(ca !== undefined && { ca }),
        onReached: (isThere) => logger.warn(isThere ? "fleet-store-back" : "fleet-store-lost"),
      });
    } catch (error) {
      onRefused(error);
      throw error;
    }
  };
  const late = await LateSource.start(
    open,
    (store) => StoreSource.watching(store, RECORDS.head(hid)),
  );
  shutdown.add(() => late[Symbol.asyncDispose]());
  return { source: late, store: () => late.store };
}

async function readCa(path: string): Promise<string | undefined> {
  if (path === "") return undefined;
  try {
    const text = new TextDecoder().decode(await readAtMost(path, MAX_CA_BYTES));
    return parseAuthority(text, "--fleet-ca", HINTS.natsAuthority);
  } catch (cause) {
    if (cause instanceof SecLlamaError) throw cause;
    throw new SecLlamaError(
      "bad-config",
      `${path} ${cause instanceof FileTooLong ? cause.message : "cannot be read"}`,
      {
        field: "--fleet-ca",
        hint: HINTS.natsAuthority,
        cause,
      },
    );
  }
}
