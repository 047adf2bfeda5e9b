/**
 * Parsers of what gateway and runner say on the pipe, both ways. A runner may have been taken over by its model: what it sends is
 * of these shapes and bounds, or the pipe is broken and the runner ended.
 */
import { MAX_DURATION_MS } from "../duration.ts";
import { isErrorCode } from "../errors.ts";
import { CALL_KINDS, type CallTerms } from "./call_terms.ts";
import { ENGINE_KINDS } from "./engine_kinds.ts";
import type {
  AnswerHead,
  AttackResult,
  BootDefaults,
  BootMessage,
  FromRunner,
  OpenHead,
  OwnReport,
  PolicyMessage,
  ToRunner,
} from "./pipe_types.ts";
import {
  anything,
  either,
  flag,
  hex,
  integer,
  line,
  list,
  nullable,
  number,
  object,
  oneOf,
  type Read,
  record,
  StrictObject,
  text,
} from "./strict_json.ts";

export type * from "./pipe_types.ts";
export { LAST_WORDS_MS, MAX_DEFAULTS_BYTES } from "./pipe_types.ts";

/** Of a Modelfile's texts and of paths; one frame holds them all. */
const MAX_TEXT = 256 * 1024;
const MAX_PATH = 4096;
const MAX_ADAPTERS = 64;
const MAX_RETYPED = 1024;
const MAX_MESSAGES = 10_000;
const MAX_REPORTS = 64;
/** Of two generations, one key a suite. */
const MAX_RECIPIENTS = 8;
/** Of one exchange: more than any context, many times over. */
const MAX_TOKENS = 1_000_000_000;
const MAX_HEADERS = 64;
const MAX_HEADER = 8 * 1024;
const WORD = /^[A-Za-z0-9_]{1,64}$/;
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/;
// deno-lint-ignore no-control-regex
const HEADER_VALUE = /^[^\x00-\x08\x0a-\x1f\x7f]*$/;
/** As src/sealed/header.ts has it. */
const PSK_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/;

const name = text(600);
const path = text(MAX_PATH);
const waitedMs = number(0, MAX_DURATION_MS);
const headers = record(MAX_HEADERS, HEADER_NAME, text(MAX_HEADER, HEADER_VALUE));

const value: Read<number | string> = either(
  (given) => typeof given === "number",
  integer(Number.MIN_SAFE_INTEGER),
  text(64),
);

const arg = integer(0, 5);

/** A port, or a path or name of a Unix socket (unix(7): 108 bytes). */
const target: Read<number | string> = either(
  (given) => typeof given === "number",
  integer(1, 65_535),
  text(200),
);

const policyTest = either(
  (test) => typeof test === "object" && test !== null && "outside" in test,
  object((test) => ({
    arg: test.get("arg", arg),
    ...test.optional("length", integer(1)),
    ...test.optional("lengthArg", arg),
    outside: test.get("outside", oneOf("files")),
  })),
  object((test) => ({
    arg: test.get("arg", arg),
    ...test.optional("wide", flag),
    ...test.optional("mask", value),
    equals: test.get("equals", list(256, value)),
  })),
);

const policyRule = object((rule) => ({
  call: rule.get("call", text(64, WORD)),
  ...rule.optional("arch", oneOf("x86_64", "aarch64")),
  when: rule.get("when", list(16, policyTest)),
  ...rule.optional("else", text(64)),
  why: rule.get("why", text(1000)),
}));

const policy: Read<PolicyMessage> = object((o) => ({
  calls: o.get("calls", record(512, WORD, text(1000))),
  conditional: o.get("conditional", list(512, policyRule)),
}));

const defaults: Read<BootDefaults> = object((o) => ({
  ...o.optional("template", text(MAX_TEXT)),
  ...o.optional("system", text(MAX_TEXT)),
  ...o.optional(
    "messages",
    list(
      MAX_MESSAGES,
      object((message) => ({
        role: message.get("role", text(64)),
        content: message.get("content", text(MAX_TEXT)),
      })),
    ),
  ),
  // Their types and ranges are checked where requests' options are.
  ...o.optional("options", record(256, WORD, anything)),
}));

const retypedNumber: Read<BootMessage["retyped"][number]> = object((o) => ({
  key: o.get("key", text(127)),
  kind: o.get("kind", oneOf("int", "float")),
  value: o.get("value", number(0, Number.MAX_SAFE_INTEGER)),
}));

/**
 * A control message as the runner reads it.
 * @throws {SecLlamaError} `pipe-broken`.
 */
export function parseToRunner(message: unknown): ToRunner {
  const o = new StrictObject(message, "message");
  const t = o.get("t", oneOf("boot", "serve", "ping"));
  const parsed: ToRunner = t === "boot" ? boot(o) : { t };
  o.end();
  return parsed;
}

function boot(o: StrictObject): BootMessage {
  return {
    t: "boot",
    model: o.get("model", name),
    modelPath: o.get("modelPath", path),
    libDir: o.get("libDir", path),
    encryption: o.get("encryption", flag),
    hid: o.get("hid", hex(16)),
    rn: o.get("rn", hex(32)),
    adapterPaths: o.get("adapterPaths", list(MAX_ADAPTERS, path)),
    draftPath: o.get("draftPath", nullable(path)),
    vision: o.get(
      "vision",
      nullable(object((vision) => ({
        libraryPath: vision.get("libraryPath", path),
        projectorPath: vision.get("projectorPath", path),
      }))),
    ),
    foreign: o.get(
      "foreign",
      nullable(object((foreign) => ({
        kind: foreign.get("kind", oneOf(...ENGINE_KINDS)),
        socket: foreign.get("socket", path),
        outputFd: foreign.get("outputFd", integer(3, 1024)),
      }))),
    ),
    retyped: o.get("retyped", list(MAX_RETYPED, retypedNumber)),
    defaults: o.get("defaults", defaults),
    templateCompletions: o.get("templateCompletions", flag),
    engine: o.get(
      "engine",
      object((engine) => ({
        contextLength: engine.get("contextLength", integer(1)),
        cacheCells: engine.get("cacheCells", integer(1)),
        slots: engine.get("slots", integer(1)),
        threads: engine.get("threads", integer(1)),
        queueLimit: engine.get("queueLimit", integer(0)),
        cacheType: engine.get("cacheType", oneOf("f16", "q8_0")),
        gpu: engine.get("gpu", flag),
      })),
    ),
    lockdown: o.get("lockdown", flag),
    stage2More: o.get("stage2More", nullable(policy)),
    targets: o.get("targets", nullable(record(32, WORD, nullable(target)))),
    version: o.get("version", text(64)),
  };
}

/**
 * A control message as the gateway reads it.
 * @throws {SecLlamaError} `pipe-broken` for anything that an honest runner does not send.
 */
export function parseFromRunner(message: unknown): FromRunner {
  const o = new StrictObject(message, "message");
  const t = o.get(
    "t",
    oneOf(
      "loading",
      "ready",
      "recipients",
      "keep_alive",
      "used",
      "receipt",
      "refused",
      "failed",
      "pong",
    ),
  );
  const parsed = FROM_RUNNER[t](o);
  o.end();
  return parsed;
}

/** What a confined process says of its layers. @throws {SecLlamaError} `pipe-broken`. */
export const ownReports: Read<OwnReport[]> = list(
  MAX_REPORTS,
  object((report) => ({
    layer: report.get("layer", line(100)),
    enforced: report.get("enforced", flag),
    observed: report.get("observed", line(4096)),
  })),
);

const attackResults: Read<AttackResult[]> = list(
  MAX_REPORTS,
  object((result) => ({
    target: result.get("target", line(100)),
    outcome: result.get("outcome", oneOf("blocked", "out", "not run")),
    step: result.get("step", line(200)),
    errno: result.get("errno", line(100)),
  })),
);

const FROM_RUNNER: { readonly [t in FromRunner["t"]]: (o: StrictObject) => FromRunner } = {
  ready: (o) => ({
    t: "ready",
    loadMs: o.get("loadMs", number(0, MAX_DURATION_MS)),
    sees: o.get("sees", flag),
    drafts: o.get("drafts", flag),
    lockdown: o.get("lockdown", ownReports),
    attacks: o.get("attacks", attackResults),
    permissions: o.get(
      "permissions",
      record(16, /^[a-z]{1,16}$/, oneOf("granted", "denied", "prompt", "partial")),
    ),
  }),
  loading: (o) => ({ t: "loading", percent: o.get("percent", integer(0, 100)) }),
  recipients: (o) => ({ t: "recipients", ids: o.get("ids", list(MAX_RECIPIENTS, hex(8), 1)) }),
  keep_alive: (o) => ({
    t: "keep_alive",
    ms: o.get(
      "ms",
      either((ms) => ms === -1, integer(-1, -1), number(0, MAX_DURATION_MS)),
    ),
    ...o.optional("client", text(255)),
  }),
  used: (o) => ({
    t: "used",
    exchange: o.get("exchange", integer(1, 0xffff_ffff)),
    prompt: o.get("prompt", integer(0, MAX_TOKENS)),
    reply: o.get("reply", integer(0, MAX_TOKENS)),
    ...o.optional("firstMs", number(0, MAX_DURATION_MS)),
    ...o.optional("restMs", number(0, MAX_DURATION_MS)),
  }),
  refused: (o) => ({
    t: "refused",
    exchange: o.get("exchange", integer(1, 0xffff_ffff)),
    code: o.get("code", oneOf("role-refused")),
  }),
  receipt: (o) => ({
    t: "receipt",
    exchange: o.get("exchange", integer(1, 0xffff_ffff)),
    id: o.get("id", hex(16)),
    request: o.get("request", hex(32)),
    reply: o.get("reply", hex(32)),
  }),
  // A code that is not ours is no reason to hide that the model failed.
  failed: (o) => {
    const code = o.get("code", text(64));
    return {
      t: "failed",
      code: isErrorCode(code) ? code : "model-failed",
      message: o.get("message", line(4096)),
    };
  },
  pong: (o) => ({ t: "pong", busy: o.get("busy", integer(0)), steps: o.get("steps", integer(0)) }),
};

/**
 * The head of an exchange, as the runner reads it.
 * @throws {SecLlamaError} `pipe-broken`.
 */
export function parseOpenHead(head: unknown): OpenHead {
  const o = new StrictObject(head, "head");
  const kind = o.get("kind", oneOf("key", "sealed", "plain"));
  const parsed = OPEN_HEADS[kind](o);
  o.end();
  return parsed;
}

const terms: Read<CallTerms> = object((o) => ({
  role: o.get("role", text(64)),
  ...o.optional("kinds", list(CALL_KINDS.length, oneOf(...CALL_KINDS), 1)),
  ...o.optional("replyTokens", integer(1)),
}));

const OPEN_HEADS: { readonly [kind in OpenHead["kind"]]: (o: StrictObject) => OpenHead } = {
  sealed: (o) => ({ kind: "sealed", ...o.optional("terms", terms) }),
  key: (o) => ({
    kind: "key",
    id: o.get("id", text(255, PSK_ID)),
    c: o.get("c", hex(16)),
    model: o.get("model", name),
    waitedMs: o.get("waitedMs", waitedMs),
    suite: o.get("suite", integer(0, 255)),
    gen: o.get("gen", integer(0)),
    attest: o.get("attest", hex(32)),
  }),
  plain: (o) => ({
    kind: "plain",
    client: o.get("client", text(255, /^plain [\x20-\x7e]*$/)),
    method: o.get("method", text(16, /^[A-Z]+$/)),
    path: o.get("path", text(MAX_HEADER, /^\/[\x21-\x7e]*$/)),
    headers: o.get("headers", headers),
    waitedMs: o.get("waitedMs", waitedMs),
  }),
};

/**
 * The head of an answer, as the gateway reads it.
 * @throws {SecLlamaError} `pipe-broken`.
 */
export function parseAnswerHead(head: unknown): AnswerHead {
  const o = new StrictObject(head, "head");
  const parsed = { status: o.get("status", integer(200, 599)), headers: o.get("headers", headers) };
  o.end();
  return parsed;
}
