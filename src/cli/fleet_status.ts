/** `secllama fleet status`: which hosts are there, by what they said of themselves. */
import { RECORDS } from "../fleet/bundle.ts";
import { asIssuer } from "../fleet/issuer.ts";
import { type HostReport, openReport, reportKeyOf } from "../fleet/report.ts";
import { secret } from "../secret.ts";
import { padColumns } from "./columns.ts";
import type { Command } from "./command.ts";
import { withFleet } from "./fleet_common.ts";
import { NATS_OPTIONS, openNats } from "./fleet_publish.ts";
import { EXIT_CODES, OPTIONS } from "./key_common.ts";
import { reportRows } from "./rows.ts";

/** A host that said nothing for so long is not there, ms: three times the longest pause between reports of a thousand hosts. */
const SILENT_MS = 60_000;

/** The command. */
export const statusCommand: Command = {
  path: ["fleet", "status"],
  example: "secllama fleet status tls://nats-1:4222",
  summary: "Show which hosts are there, their models and how much they have to do, on the issuer",
  arguments: "SERVERS",
  minPositionals: 1,
  maxPositionals: 1,
  options: { ...OPTIONS, ...NATS_OPTIONS },
  details:
    `SERVERS are those of NATS: tls://nats-1:4222,tls://nats-2:4222. A host that was killed is shown as it was for a
minute at most. Hosts that serve by files say nothing.${EXIT_CODES}`,
  run: (context) =>
    withFleet(context, async (state) => {
      const { seed, hosts } = await asIssuer(state);
      using own = secret(seed);
      const live = hosts.filter(({ removed }) => removed === null);
      using key = secret(reportKeyOf(own, hosts.length - live.length));
      await using store = await openNats(context, state, context.positionals[0]!);
      const rows = await Promise.all(live.map(async ({ label, hid }) => {
        const text = await store.get(RECORDS.report(hid));
        const said = text === undefined ? undefined : openReport(text, key, hid);
        const isThere = said !== undefined && Date.now() - said.at < SILENT_MS;
        return { label, hid, isThere, said };
      }));
      reportRows(
        context,
        {
          hosts: rows.map(({ said, ...row }) => ({ ...row, ...said })),
        },
        rows.map(({ label, isThere, said }) => [padColumns(label, 20), ...cells(isThere, said)]),
        "the fleet has no host",
      );
    }),
};

function cells(isThere: boolean, said: HostReport | undefined): string[] {
  if (said === undefined) return ["has said nothing"];
  if (!isThere) return [`silent since ${new Date(said.at).toISOString()}`];
  const models = said.models.map(({ name }) => name).join(" ");
  const loaded = said.loaded.map(({ name }) => name).join(" ") || "none";
  const pulls = said.pulls?.map(({ model, state }) => `${model} ${state}`).join(", ");
  return [
    `head ${said.head}`,
    `${said.active} under way`,
    `models ${models}`,
    `loaded ${loaded}`,
    pulls ? `pulls ${pulls}` : "",
  ];
}
