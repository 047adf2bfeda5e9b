/** `secllama fleet …`: hosts that serve the clients of one issuer. */
import { AuditSigner } from "../audit/mod.ts";
import { HOST_LABEL } from "../api/runner_name.ts";
import { SecLlamaError } from "../errors.ts";
import { joinFleet } from "../fleet/join.ts";
import { asIssuer, enrolHost, fleetHosts, initIssuer, removeHost } from "../fleet/issuer.ts";
import { encodePin, parseEnrolment, parsePin } from "../fleet/lines.ts";
import { secret } from "../secret.ts";
import { padColumns } from "./columns.ts";
import { type Command, type CommandContext, flag, stringOption } from "./command.ts";
import { withFleet } from "./fleet_common.ts";
import { fleetAuditCommand } from "./fleet_audit.ts";
import { fleetPullCommand } from "./fleet_pull.ts";
import { publishCommand } from "./fleet_publish.ts";
import { statusCommand } from "./fleet_status.ts";
import { EXIT_CODES, OPTIONS, report } from "./key_common.ts";
import { reportRows } from "./rows.ts";

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
    const label = labelOf(context);
    const pin = parsePin(context.positionals[0]!);
    return await withFleet(context, async (state, keys) => {
      using signer = await AuditSigner.of(keys);
      const audit = signer.signing.publicKey.raw;
      const host = await joinFleet(state, { pin, label, hid: keys.hid, audit });
      report(context, { host }, [host]);
    });
  },
};

/** @throws {SecLlamaError} `usage`. */
function labelOf(context: CommandContext): string {
  const label = stringOption(context, "label");
  if (label !== undefined && HOST_LABEL.test(label)) return label;
  const message = label === undefined
    ? "--label is missing: what balancers know this host by"
    : "--label must be letters in lower case, digits and dashes, at most 63: gpu-1";
  throw new SecLlamaError("usage", message, {
    field: "--label",
    hint:
      "the balancer's configuration names each host by its label, for instance --label gpu-1; " +
      "see secllama help fleet",
  });
}

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
      reportRows(
        context,
        { hosts: shown.map(({ pk: _, audit: __, pulls: ___, ...host }) => host) },
        shown.map(({ label, hid, added, removed }) => [
          padColumns(label, 20),
          hid.slice(0, 8),
          `enrolled ${added.slice(0, 10)}`,
          removed === null ? "" : `taken out ${removed.slice(0, 10)}`,
        ]),
        "the fleet has no host; on one, run: secllama fleet join --label NAME FLEET",
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
    `The host gets nothing further. What it has ends when its time is over: publish with a short --valid.${EXIT_CODES}`,
  run: (context) =>
    withFleet(context, async (state) => {
      await removeHost(state, context.positionals[0]!);
      report(context, { label: context.positionals[0]! }, [`took out ${context.positionals[0]!}`]);
    }),
};

const nats: Command = {
  path: ["fleet", "nats"],
  summary: "Print what NATS is to allow the issuer and each host, for its configuration",
  options: OPTIONS,
  details:
    `Put it into a file, and include that file in nats-server's configuration; again after enrol and remove, then
nats-server --signal reload. It holds public keys only.${EXIT_CODES}`,
  run: (context) =>
    withFleet(context, async (state) => {
      const { natsIdentity } = await import("../fleet/nkey.ts");
      const { natsPermissions } = await import("../fleet/nats_permissions.ts");
      const { seed, hosts } = await asIssuer(state);
      using _wiped = secret(seed);
      const users = [
        natsPermissions(natsIdentity(seed).user, "issuer"),
        ...hosts.filter(({ removed }) => removed === null).map(({ nats, hid }) =>
          natsPermissions(nats, { hid })
        ),
      ];
      report(context, { users }, [`authorization: ${JSON.stringify({ users }, null, 2)}`]);
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
  statusCommand,
  fleetAuditCommand,
  fleetPullCommand,
  nats,
];
