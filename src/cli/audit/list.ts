/** `secllama audit list`. */
import { AUDIT_EVENTS, type AuditLine, parseLine } from "../../audit/mod.ts";
import { EXIT, SecLlamaError } from "../../errors.ts";
import { closest } from "../../suggest.ts";
import { type Command, flag, JSON_OPTION, stringOption } from "../command.ts";
import { UNUSED_KEY_OPTIONS } from "../key_options.ts";
import { openForReading } from "./open.ts";
import { readTime } from "./time.ts";

export const listCommand: Command = {
  path: ["audit", "list"],
  endsWithItsReader: true,
  example: "secllama audit list --last 20",
  summary: "Show who did what on this host, the latest last",
  options: {
    ...UNUSED_KEY_OPTIONS,
    last: { type: "string", value: "N", help: "at most so many (default 50; 0: all)" },
    event: {
      type: "string",
      value: "EVENT",
      help: "of this kind only: exchange, client-paired, …",
    },
    client: { type: "string", value: "NAME", help: "of this client only" },
    since: {
      type: "string",
      value: "WHEN",
      help: "not older than a date (2026-01-31) or an age (7d)",
    },
    json: { ...JSON_OPTION.json, help: "print one line of JSON each" },
  },
  details:
    `Metadata only: what was asked or answered is nowhere. It reads what is there and checks nothing:
secllama audit verify does.`,
  async run(context) {
    const { tui } = context;
    const most = readCount(stringOption(context, "last") ?? "50");
    const since = stringOption(context, "since");
    const sinceMs = since === undefined ? -Infinity : readTime("--since", since);
    const [event, client] = ["event", "client"].map((name) => stringOption(context, name));
    const wanted = (line: AuditLine) =>
      line.t >= sinceMs && (event === undefined || line.event === event) &&
      (client === undefined || line["client"] === client);
    const shown: AuditLine[] = [];
    using db = await openForReading(context);
    for (const { text } of db.lines()) {
      const line = text === null ? undefined : parseLine(text);
      if (line === undefined || !wanted(line)) continue;
      shown.push(line);
      if (shown.length > 2 * most) shown.splice(0, shown.length - most);
    }
    if (shown.length === 0 && event !== undefined) checkEvent(event);
    for (const line of shown.slice(-most)) {
      if (flag(context, "json")) tui.jsonLine(line);
      else tui.out(shownLine(line));
    }
    if (shown.length === 0 && !flag(context, "json")) tui.note("there is no such line");
    return EXIT.ok;
  },
};

/** "12  2026-01-31 12:00:00  exchange  client=laptop …", in UTC. */
function shownLine({ n, t, event, ...fields }: AuditLine): string {
  const when = new Date(t).toISOString().slice(0, 19).replace("T", " ");
  const rest = Object.entries(fields).map(([name, value]) => `${name}=${value}`).join(" ");
  return `${String(n).padStart(6)}  ${when}  ${event.padEnd(16)}  ${rest}`.trimEnd();
}

function readCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) {
    throw new SecLlamaError("usage", "--last must be a whole number", { field: "--last" });
  }
  return text === "0" ? Infinity : Number(text);
}

/**
 * That there is no line of it would say that nobody did it. A line of a later version may have another. @throws {SecLlamaError}
 * `usage`.
 */
function checkEvent(event: string): void {
  if ((AUDIT_EVENTS as readonly string[]).includes(event)) return;
  const meant = closest(event, AUDIT_EVENTS);
  throw new SecLlamaError("usage", "--event names no kind of line that there is", {
    field: "--event",
    hint: meant === undefined
      ? `the events are: ${AUDIT_EVENTS.join(", ")}`
      : `did you mean: --event ${meant}`,
  });
}
