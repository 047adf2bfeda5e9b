/**
 * Each message is read back as it was sent, and each change to it that an honest sender would not make is refused: a field
 * missing, of another type, too large, or one too many, at every depth.
 */
import assert from "node:assert/strict";
import {
  type AnswerHead,
  type BootMessage,
  type FromRunner,
  type OpenHead,
  parseAnswerHead,
  parseFromRunner,
  parseOpenHead,
  parseToRunner,
} from "./pipe_messages.ts";

const BOOT: BootMessage = {
  t: "boot",
  model: "demo:latest",
  modelPath: "/m",
  libDir: "/l",
  encryption: true,
  hid: "0".repeat(32),
  rn: "a".repeat(64),
  adapterPaths: ["/a"],
  draftPath: "/d",
  vision: { libraryPath: "/v", projectorPath: "/p" },
  foreign: { kind: "llama-server", socket: "/run/engine/engine.sock", outputFd: 4 },
  retyped: [{ key: "llama.context_length", kind: "int", value: 64 }],
  templateCompletions: false,
  defaults: {
    template: "{{ .Prompt }}",
    system: "s",
    messages: [{ role: "user", content: "c" }],
    options: { temperature: 0.5, stop: ["x"] },
  },
  engine: {
    contextLength: 4096,
    cacheCells: 16384,
    slots: 4,
    threads: 2,
    queueLimit: 512,
    cacheType: "f16",
    gpu: false,
  },
  lockdown: true,
  stage2More: {
    calls: { ioctl: "why" },
    conditional: [{
      call: "mmap",
      arch: "x86_64",
      when: [
        { arg: 2, wide: true, mask: "0x4", equals: [0, "0x1"] },
        { arg: 1, length: 8, outside: "files" },
      ],
      else: "EPERM",
      why: "why",
    }],
  },
  targets: { tcp4: 1, tcp6: null, pathStream: "/x" },
  version: "0",
};

const FROM: FromRunner[] = [
  {
    t: "ready",
    loadMs: 1.5,
    sees: true,
    drafts: true,
    lockdown: [{ layer: "stage 2", enforced: true, observed: "x" }],
    attacks: [{ target: "tcp4", outcome: "blocked", step: "connect", errno: "EPERM" }],
    permissions: { net: "denied", read: "partial" },
  },
  { t: "recipients", ids: ["0011223344556677"] },
  { t: "keep_alive", ms: -1 },
  { t: "keep_alive", ms: 300_000 },
  { t: "failed", code: "model-failed", message: "it failed" },
  { t: "pong", busy: 1, steps: 12 },
  { t: "loading", percent: 40 },
  { t: "used", exchange: 1, prompt: 2, reply: 3, firstMs: 12.5, restMs: 7 },
  { t: "refused", exchange: 1, code: "role-refused" },
];

const HEADS: OpenHead[] = [
  { kind: "sealed" },
  { kind: "sealed", terms: { role: "staff", kinds: ["chat", "rerank"], replyTokens: 500 } },
  {
    kind: "key",
    id: "local.0011223344556677",
    c: "0".repeat(32),
    model: "demo:latest",
    waitedMs: 0.5,
    suite: 2,
    gen: 3,
    attest: "b".repeat(64),
  },
  {
    kind: "plain",
    client: "plain uid 1000",
    method: "POST",
    path: "/x",
    headers: { "content-type": "a/b" },
    waitedMs: 0,
  },
];
const ANSWER: AnswerHead = { status: 200, headers: { "content-type": "a/b" } };

type Json = unknown;
const OTHERS: Json[] = [
  null,
  true,
  1,
  -2,
  1.5,
  1e308,
  "",
  "x",
  "\n",
  "x".repeat(300_000),
  [],
  [1],
  {},
  { x: 1 },
];
/** Where an object's names are free: these readers are of records, and say nothing against another name. */
const RECORDS = /\.(?:calls|options|headers|permissions|targets)$/;
/** May be left out. */
const OPTIONAL =
  /\.(?:template|system|messages|options|arch|wide|mask|else|length|terms|kinds|replyTokens|firstMs|restMs)$|\.(?:calls|options|headers|permissions|targets)\.[^.]+$/;

/** Each value in `value`, and how to put another in its place. */
function* places(
  value: Json,
  where = "",
): Generator<{ where: string; old: Json; replace: (by: Json) => Json; remove: () => Json }> {
  if (typeof value !== "object" || value === null) return;
  for (const [name, old] of Object.entries(value)) {
    const at = `${where}.${name}`;
    const replace = (by: Json): Json =>
      Array.isArray(value)
        ? value.map((one, i) => String(i) === name ? by : one)
        : { ...value, [name]: by };
    const remove = (): Json =>
      Array.isArray(value)
        ? value.filter((_, i) => String(i) !== name)
        : Object.fromEntries(Object.entries(value).filter(([other]) => other !== name));
    yield { where: at, old, replace, remove };
    for (const inner of places(old, at)) {
      yield {
        where: inner.where,
        old: inner.old,
        replace: (by) => replace(inner.replace(by)),
        remove: () => replace(inner.remove()),
      };
    }
  }
}

function refuses(parse: (value: Json) => unknown, value: Json, at: string): boolean {
  try {
    parse(value);
    return false;
  } catch (error) {
    assert.equal((error as { code?: string }).code, "pipe-broken", at);
    // What was wrong is not repeated: it may be content.
    assert.ok((error as Error).message.length < 200, at);
    return true;
  }
}

const kindOf = (value: Json) =>
  Array.isArray(value) ? "list" : value === null ? "null" : typeof value;

function holdsTo(parse: (value: Json) => unknown, sample: object): number {
  const honest: Json = JSON.parse(JSON.stringify(sample));
  assert.deepEqual(parse(honest), honest);
  let tried = 0;
  const refused = (value: Json, at: string) => {
    tried++;
    assert.ok(refuses(parse, value, at), `${at} was taken: ${JSON.stringify(value).slice(0, 300)}`);
  };
  for (const other of [null, 1, "x", [], [honest]]) refused(other, "the whole");
  refused({ ...(honest as object), more: 1 }, "a field more");
  for (const { where, old, replace, remove } of places(honest)) {
    const inList = /\.\d+$/.test(where);
    if (!inList && !OPTIONAL.test(where)) refused(remove(), `${where} removed`);
    if (kindOf(old) === "object" && !RECORDS.test(where)) {
      refused(replace({ ...(old as object), more: 1 }), `${where}: a field more`);
    }
    for (const other of OTHERS) {
      if (
        kindOf(other) === kindOf(old) ||
        /\.(?:options|targets)(?:\.|$)|\.(?:mask|equals)\b/.test(where)
      ) {
        continue;
      }
      // Absent where the operator switched the sandbox off, or no GPU is used.
      if (other === null && /^\.(?:stage2More|vision|foreign|draftPath)$/.test(where)) continue;
      refused(replace(other), `${where} by ${JSON.stringify(other)?.slice(0, 20)}`);
    }
    if (typeof old === "string" && !/\.(?:options|targets)\./.test(where)) {
      refused(replace("x".repeat(300_000)), `${where}: too long`);
    }
    if (typeof old === "number" && !/\.(?:equals|options|targets)\b/.test(where)) {
      for (const wrong of [-2, 1e300, NaN]) refused(replace(wrong), `${where} by ${wrong}`);
    }
    if (Array.isArray(old) && !/\.options\./.test(where)) {
      refused(replace(Array(10_001).fill(old[0])), `${where}: too many`);
    }
  }
  return tried;
}

Deno.test("pipe messages: gateway to runner", () => {
  assert.ok(holdsTo(parseToRunner, BOOT) > 300);
  for (const t of ["serve", "ping"]) holdsTo(parseToRunner, { t });
  for (const head of HEADS) holdsTo(parseOpenHead, head);
  const least = {
    ...BOOT,
    defaults: {},
    stage2More: null,
    targets: null,
    adapterPaths: [],
    draftPath: null,
  };
  assert.deepEqual(parseToRunner(least), least);
});

Deno.test("pipe messages: runner to gateway, which does not trust it", () => {
  let tried = 0;
  for (const message of FROM) tried += holdsTo(parseFromRunner, message);
  tried += holdsTo(parseAnswerHead, ANSWER);
  assert.ok(tried > 200, String(tried));
});

Deno.test("pipe messages: what a runner that was taken over might try", () => {
  const wrong: [(value: Json) => unknown, Json][] = [
    [parseFromRunner, { t: "constructor" }],
    [parseFromRunner, { t: "boot" }],
    [parseFromRunner, JSON.parse('{"t":"pong","busy":0,"steps":0,"__proto__":{"x":1}}')],
    [parseFromRunner, { t: "recipients", ids: Array(9).fill("0011223344556677") }],
    [parseFromRunner, { t: "recipients", ids: [] }],
    [parseFromRunner, { t: "recipients", ids: ["00112233445566\n7"] }],
    [parseFromRunner, { t: "recipients", ids: ["0011223344556677", "0011223344556677 "] }],
    [parseFromRunner, { t: "keep_alive", ms: 1e18 }],
    [parseFromRunner, { t: "keep_alive", ms: null }],
    [parseAnswerHead, { status: 200, headers: { "x": "a\r\nset-cookie: b" } }],
    [parseAnswerHead, { status: 200, headers: { "a b": "c" } }],
    [parseAnswerHead, { status: 101, headers: {} }],
    [parseAnswerHead, { status: 200.5, headers: {} }],
    [parseAnswerHead, { status: 200, headers: Object.fromEntries(Array(65).entries()) }],
  ];
  for (const [parse, value] of wrong) {
    assert.ok(refuses(parse, value, "wrong"), JSON.stringify(value));
  }
  // A code that is not ours hides nothing else; texts for people are made one line.
  const failed = parseFromRunner({ t: "failed", code: "toString", message: "a\n\u001b[31mb" });
  assert.deepEqual(failed, { t: "failed", code: "model-failed", message: "a  [31mb" });
});
