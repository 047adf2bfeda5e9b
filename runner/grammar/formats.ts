/**
 * The values of `format` that JSON Schema defines, each as a pattern. Others are notes, which the standard (2020-12, Validation,
 * 7.2.3) asks to pass over.
 */
import type { Work } from "../../src/budget.ts";
import type { Automaton, Budget } from "./automaton.ts";
import { patternWork } from "./pattern.ts";
import { Inexpressible } from "./refusal.ts";

interface Format {
  /** What replies are written by. */
  readonly pattern: string;
  /** Texts of the format, and some that are none: what a schema's own values are held to. Absent: the same. */
  readonly rough?: string;
}

/** RFC 3339, 5.6, with the days that months have; no year 0, which many programs do not know. */
const DATE = String.raw`(?!0000)(?:\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|` +
  String.raw`(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))|` +
  String.raw`(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)`;
const TIME = String
  .raw`(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)`;
const BYTE = String.raw`(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)`;
const IPV4 = String.raw`${BYTE}(?:\.${BYTE}){3}`;
const IPV6 = ipv6();
/** RFC 1123: labels of letters, digits and hyphens. */
const LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,20}[A-Za-z0-9])?";
const HOST = String.raw`${LABEL}(?:\.${LABEL}){0,3}`;
const ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}";
const PATH = "(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})";
const URI = String.raw`[A-Za-z][A-Za-z0-9+.-]{0,20}:(?://${HOST}(?::\d{1,4})?(?:/${PATH}*)?|` +
  String.raw`(?!/)${PATH}+)(?:\?${PATH}*)?(?:#${PATH}*)?`;
const RELATIVE = String.raw`(?![^/?#]*:)(?!//)${PATH}*(?:\?${PATH}*)?(?:#${PATH}*)?`;
/** ISO 8601 as in RFC 3339, appendix A. */
const DURATION = String
  .raw`P(?:\d{1,9}W|(?=\d|T\d)(?:\d{1,9}Y(?:\d{1,9}M(?:\d{1,9}D)?)?|\d{1,9}M(?:\d{1,9}D)?|\d{1,9}D)?` +
  String.raw`(?:T(?:\d{1,9}H(?:\d{1,9}M(?:\d{1,9}S)?)?|\d{1,9}M(?:\d{1,9}S)?|\d{1,9}S))?)`;

const FORMATS: Readonly<Record<string, Format>> = {
  "date": { pattern: DATE },
  "time": { pattern: TIME, rough: "^\\d\\d:\\d\\d:\\d\\d" },
  "date-time": { pattern: `${DATE}T${TIME}`, rough: "^\\d{4}-\\d\\d-\\d\\d[Tt ]\\d\\d:\\d\\d:" },
  "duration": { pattern: DURATION, rough: "^P.*\\d" },
  "uuid": {
    pattern: "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
  },
  "ipv4": { pattern: IPV4 },
  "ipv6": { pattern: IPV6 },
  "hostname": { pattern: HOST, rough: "^[^\\s/@:]+$" },
  "idn-hostname": { pattern: HOST, rough: "^[^\\s/@:]+$" },
  "email": { pattern: String.raw`${ATOM}(?:\.${ATOM}){0,2}@${HOST}`, rough: "^[^@]+@[^@]+$" },
  "idn-email": { pattern: String.raw`${ATOM}(?:\.${ATOM}){0,2}@${HOST}`, rough: "^[^@]+@[^@]+$" },
  "uri": { pattern: URI, rough: "^[A-Za-z][A-Za-z0-9+.-]*:" },
  "iri": { pattern: URI, rough: "^[A-Za-z][A-Za-z0-9+.-]*:" },
  "uri-reference": { pattern: `(?:${URI}|${RELATIVE})`, rough: "^[^\\s]*$" },
  "iri-reference": { pattern: `(?:${URI}|${RELATIVE})`, rough: "^[^\\s]*$" },
  "uri-template": { pattern: `(?:${PATH}|\\{[A-Za-z0-9_]{1,40}\\})*`, rough: "^[^\\s]*$" },
  "json-pointer": { pattern: "(?:/(?:[^~/]|~[01])*)*" },
  "relative-json-pointer": {
    pattern: "(?:0|[1-9]\\d{0,8})(?:#|(?:/(?:[^~/]|~[01])*)*)",
    rough: "^\\d+(?:#|/|$)",
  },
};

/** RFC 4291, 2.2, with an IPv4 address as the last two groups. */
function ipv6(): string {
  const group = "[0-9A-Fa-f]{1,4}";
  const last = `(?:${group}:${group}|${IPV4})`;
  const branches = [`(?:${group}:){6}${last}`];
  // Before "::" up to `left` groups, behind it a fixed number.
  for (let behind = 5; behind >= 0; behind--) {
    const most = 5 - behind;
    const before = most === 0 ? "" : `(?:${group}(?::${group}){0,${most - 1}})?`;
    branches.push(`${before}::${behind === 0 ? "" : `(?:${group}:){${behind}}`}${last}`);
  }
  branches.push(`(?:${group}(?::${group}){0,5})?::${group}`, `(?:${group}(?::${group}){0,6})?::`);
  return `(?:${branches.join("|")})`;
}

export interface FormatTexts {
  readonly automaton: Automaton;
  readonly rough: Automaton;
}

const made = new Map<string, FormatTexts>();

/** What was made of a format; `undefined` for one that JSON Schema does not define. @throws {Inexpressible} */
export function knownFormat(name: string): FormatTexts | "to be made" | undefined {
  if (name === "regex") {
    throw new Inexpressible("a text that is a regular expression cannot be kept");
  }
  return Object.hasOwn(FORMATS, name) ? made.get(name) ?? "to be made" : undefined;
}

/** Makes what a format of JSON Schema's stands for, once, in turns. @throws {Inexpressible} */
export function* formatWork(name: string, budget: Budget): Work<FormatTexts> {
  const { pattern, rough } = FORMATS[name]!;
  const automaton = yield* patternWork(`^(?:${pattern})$`, "must", budget);
  const texts = {
    automaton,
    rough: rough === undefined ? automaton : yield* patternWork(rough, "may", budget),
  };
  made.set(name, texts);
  return texts;
}
