/** `secllama fleet …`: hosts that serve the clients of one issuer. */
import { join } from "node:path";
import { HOST_LABEL } from "../api/runner_name.ts";
import { parseDurationMs } from "../config/duration.ts";
import { ensureDataDirectory } from "../config/data_folder.ts";
import { EXIT, SecLlamaError } from "../errors.ts";
import { encodePin, parseEnrolment, parsePin } from "../fleet/bundle.ts";
import { joinFleet } from "../fleet/host.ts";
import { enrolHost, fleetHosts, initIssuer, publish, removeHost } from "../fleet/issuer.ts";
import { FleetState } from "../fleet/state.ts";
import { type KeySource, ManifestFile, openKeySource, writeFileAtomically } from "../keys/mod.ts";
import { utf8 } from "../bytes.ts";
import { hardenSelf } from "../sandbox/mod.ts";
import { padColumns } from "./columns.ts";
import { type Command, type CommandContext, flag, stringOption } from "./command.ts";
import { EXIT_CODES, OPTIONS, report } from "./key_common.ts";
import { keySourceOptions } from "./key_options.ts";
import { readSettings } from "./settings.ts";

/** How often `publish --watch` looks for a change of keys or clients. */
const WATCH_MS = 250;

const init: Command = {
  path: ["fleet", "init"],
  summary: "Make this machine the issuer of a fleet: prints the line that each host joins by",
  options: OPTIONS,
  details:
    `The issuer has the fleet's keys and clients. Machines that are paired with it from now on may use every host.
More: secllama help fleet.${EXIT_CODES}`,
  run: (context) =>
    withFleet(context, async (state, keys) => {
      const fleet = encodePin(await initIssuer(state, keys));
      report(context, { fleet }, [fleet]);
    }),
};

const joinCommand: Command = {
  path: ["fleet", "join"],
  example: "secllama fleet join --label gpu-1 secllama-fleet-1.…",
  summary: "Make this machine a host of a fleet: prints the line that the issuer enrols it by",
  arguments: "FLEET",
  minPositionals: 1,
  maxPositionals: 1,
  options: {
    ...OPTIONS,
    label: { type: "string", value: "LABEL", help: "what balancers know this host by: gpu-1" },
  },
  details: `FLEET is what secllama fleet init printed.${EXIT_CODES}`,
  async run(context) {
    const label = stringOption(context, "label") ?? "";
    if (!HOST_LABEL.test(label)) {
      throw new SecLlamaError("usage", "--label must be letters, digits and dashes: gpu-1", {
        field: "--label",
        hint: "the balancer's configuration names each host by its label; see secllama help fleet",
      });
    }
    const pin = parsePin(context.positionals[0]!);
    return await withFleet(context, async (state, keys) => {
      const host = await joinFleet(state, { pin, label, hid: keys.hid });
      report(context, { host }, [host]);
    });
  },
};

const enrol: Command = {
  path: ["fleet", "enrol"],
  example: "secllama fleet enrol secllama-host-1.…",
  summary: "Take a host into the fleet, on the issuer",
  arguments: "HOST",
  minPositionals: 1,
  maxPositionals: 1,
  options: OPTIONS,
  details:
    `HOST is what secllama fleet join printed there. It is no secret; see that it is that host's own.${EXIT_CODES}`,
  async run(context) {
    const host = await parseEnrolment(context.positionals[0]!, HOST_LABEL);
    return await withFleet(context, async (state) => {
      await enrolHost(state, host);
      report(context, { label: host.label, hid: host.hid.toHex() }, [`enrolled ${host.label}`]);
    });
  },
};

const hosts: Command = {
  path: ["fleet", "hosts"],
  summary: "List the hosts of the fleet, on the issuer",
  options: { ...OPTIONS, all: { type: "boolean", help: "also those that were taken out" } },
  details: EXIT_CODES,
  run: (context) =>
    withFleet(context, async (state) => {
      const all = await fleetHosts(state);
      const shown = all.filter(({ removed }) => removed === null || flag(context, "all"));
      report(
        context,
        { hosts: shown.map(({ pk: _, ...host }) => host) },
        shown.length === 0
          ? ["the fleet has no host; on one, run: secllama fleet join --label NAME FLEET"]
          : shown.map(({ label, hid, added, removed }) =>
            `${padColumns(label, 20)}  ${hid.slice(0, 8)}  enrolled ${added.slice(0, 10)}${
              removed === null ? "" : `  taken out ${removed.slice(0, 10)}`
            }`
          ),
      );
    }),
};

const remove: Command = {
  path: ["fleet", "remove"],
  example: "secllama fleet remove gpu-1",
  summary: "Take a host out of the fleet, on the issuer",
  arguments: "LABEL",
  minPositionals: 1,
  maxPositionals: 1,
  options: OPTIONS,
  details:
    `The host gets no further file. What it has ends when the file's time is over: publish with a short --valid.${EXIT_CODES}`,
  run: (context) =>
    withFleet(context, async (state) => {
      await removeHost(state, context.positionals[0]!);
      report(context, { label: context.positionals[0]! }, [`took out ${context.positionals[0]!}`]);
    }),
};

const publishCommand: Command = {
  path: ["fleet", "publish"],
  example: "secllama fleet publish /srv/fleet --watch",
  summary: "Write each host's file, LABEL.fleet, into a folder, on the issuer",
  arguments: "FOLDER",
  minPositionals: 1,
  maxPositionals: 1,
  options: {
    ...OPTIONS,
    valid: { type: "string", value: "AGE", help: "how long hosts may serve by it (default 1h)" },
    watch: {
      type: "boolean",
      help: "go on: again when keys, clients or hosts change, and in time",
    },
  },
  details:
    `Bring each file to its host, which serves by it: secllama serve --fleet FILE. A file is sealed to its host and
signed; whoever carries it can only keep it back.${EXIT_CODES}`,
  run: (context) =>
    withFleet(context, async (state, keys) => {
      const lifeMs = parseDurationMs(stringOption(context, "valid") ?? "1h", "--valid");
      const folder = context.positionals[0]!;
      await publishOnChange({
        look: () => look(state, keys),
        write: () => write(context, state, keys, { folder, lifeMs }),
        everyMs: lifeMs / 4,
        goOn: async () => {
          if (!flag(context, "watch")) return false;
          await pause(WATCH_MS, context.signal);
          return !context.signal.aborted;
        },
      });
    }),
};

/** The commands of `secllama fleet`. */
export const fleetCommands: readonly Command[] = [
  init,
  joinCommand,
  enrol,
  hosts,
  remove,
  publishCommand,
];

/**
 * Writes once, and as long as `goOn` says so again: when `look` finds a change, and after `everyMs` without one. It looks before
 * it writes, so that what changes meanwhile (a client that is revoked) is written the next time.
 */
export async function publishOnChange({ look, write, everyMs, goOn }: {
  look: () => Promise<string>;
  write: () => Promise<void>;
  everyMs: number;
  goOn: () => Promise<boolean>;
}): Promise<void> {
  let found = await look();
  for (;;) {
    const [seen, at] = [found, Date.now()];
    await write();
    do {
      if (!await goOn()) return;
      found = await look();
    } while (found === seen && Date.now() < at + everyMs);
  }
}

async function write(
  context: CommandContext,
  state: FleetState,
  keys: KeySource,
  { folder, lifeMs }: { folder: string; lifeMs: number },
): Promise<void> {
  const files = await publish(state, keys, { now: Date.now(), lifeMs });
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  const paths = files.map(({ label }) => join(folder, `${label}.fleet`));
  for (const [i, { text }] of files.entries()) await writeFileAtomically(paths[i]!, utf8(text));
  report(context, { files: paths }, paths);
}

/** What changes when the files should. */
async function look(state: FleetState, keys: KeySource): Promise<string> {
  const hosts = await fleetHosts(state);
  return `${await keys.changes()} ${hosts.map(({ hid, removed }) => `${hid}${removed}`)}`;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const onAbort = () => resolve();
  signal.addEventListener("abort", onAbort, { once: true });
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  });
}

async function withFleet(
  context: CommandContext,
  run: (state: FleetState, keys: KeySource) => Promise<void>,
): Promise<number> {
  hardenSelf(); // before a key is in memory
  const { config, dataDir } = await readSettings(context);
  await ensureDataDirectory(dataDir);
  using keys = await openKeySource({
    ...keySourceOptions(context, dataDir),
    clientGraceMs: config.clientGraceMs,
    autoInit: true,
  });
  if (keys.ephemeral) {
    throw new SecLlamaError("key-refused", "a key in memory has no fleet", {
      hint: "use a key store, or a key file: see secllama help keys",
    });
  }
  await run(new FleetState(new ManifestFile(dataDir), keys.storage()), keys);
  return EXIT.ok;
}
