/**
 * Every path that gateway and proxy serve, one row each. Proxy, gateway, runner and client library go by this table: what
 * it does not name is 404 everywhere, and no other file writes a path.
 */
import { SecLlamaError } from "../errors.ts";
import { DOCUMENT_BYTES } from "./documents.ts";
import { CONVERSATION_ID } from "./history.ts";
import type { CallKind } from "./call_terms.ts";
import type { BodyKind } from "./media_types.ts";
import { RECEIPT_ID } from "./receipt.ts";

/** Whose words and error shapes a path's clients read; `sealed` is our own wire format. */
export type Dialect = "ollama" | "openai" | "anthropic" | "sealed";

/**
 * `inference` carries a conversation: it is sealed, and only the runner reads it. `metadata` and `security` are asked of the
 * gateway with a proof of who asks. `management` changes the host's models: off unless the operator turned it on. `sealed`
 * is how sealed requests reach the gateway; the proxy does not have it. `identity` is the proxy's alone: it proves itself there.
 * So is `history`: what this user keeps on this machine, which goes to no gateway.
 * `page` is the proxy's alone too: the page that people type in, for this user's browser only.
 * `owner` is asked of the gateway as `metadata` is, and is for the host's own user: of proxies only one with the page has it.
 */
export type Kind =
  | "inference"
  | "metadata"
  | "security"
  | "management"
  | "sealed"
  | "identity"
  | "history"
  | "page"
  | "owner";

type Method = "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";

export interface Route {
  /** As it is asked for; a part in braces stands for anything that `parameter` matches. */
  readonly path: string;
  readonly methods: readonly Method[];
  readonly dialect: Dialect;
  readonly kind: Kind;
  /** Most bytes of a request's body, kept by its first reader; Infinity: what the operator lets a model's file have. */
  readonly maxBytes: number;
  readonly body: BodyKind;
  /** A gateway that other machines reach answers strangers too: it proves itself, or tells nothing. */
  readonly open: boolean;
  /** Pages of the origins that the operator named may ask. */
  readonly crossOrigin: boolean;
  /** What the part in braces may be. */
  readonly parameter?: RegExp;
  /** Of `inference`: what is asked of the model. */
  readonly call?: CallKind;
}

const KIB = 1024;
const MIB = 1024 * KIB;
/** A conversation. Ollama has no limit; a context of 128 k tokens is about 1 MB of text. */
export const INFERENCE_BYTES = 32 * MIB;
/** The largest conversation once it is sealed: header, envelope (64 KiB), tags and padding of the frames fit in 1 MiB. */
export const SEALED_BYTES = INFERENCE_BYTES + MIB;
/** A short document: a name and some flags. */
const SMALL_BYTES = 64 * KIB;
const CREATE_BYTES = 8 * MIB;

/** Title, model, folder and settings of a conversation. */
const CONVERSATION_BYTES = 128 * KIB;

/** What another program exported. */
const IMPORT_BYTES = 256 * MIB;

const GET: readonly Method[] = ["GET", "HEAD"];
const POST: readonly Method[] = ["POST"];

type Rest = Partial<Omit<Route, "path" | "dialect" | "kind">>;

function route(kind: Kind, dialect: Dialect, path: string, rest: Rest = {}): Route {
  return {
    path,
    methods: GET,
    dialect,
    kind,
    maxBytes: 0,
    body: "json",
    open: false,
    crossOrigin: false,
    ...rest,
  };
}

function inference(dialect: Dialect, path: string, call: CallKind): Route {
  return route("inference", dialect, path, { methods: POST, maxBytes: INFERENCE_BYTES, call });
}

function management(path: string, rest: Rest = {}): Route {
  return route("management", "ollama", path, { methods: POST, maxBytes: SMALL_BYTES, ...rest });
}

/** Below a conversation of the history: what can be done with it. */
function conversation(path: string, rest: Rest): Route {
  return route("history", "ollama", `/secllama/history/{id}${path}`, {
    parameter: CONVERSATION_ID,
    ...rest,
  });
}

export const ROUTES = {
  chat: inference("ollama", "/api/chat", "chat"),
  generate: inference("ollama", "/api/generate", "completions"),
  embed: inference("ollama", "/api/embed", "embeddings"),
  embeddings: inference("ollama", "/api/embeddings", "embeddings"),
  openaiChat: inference("openai", "/v1/chat/completions", "chat"),
  openaiChatTokens: inference("openai", "/v1/chat/completions/input_tokens", "chat"),
  openaiCompletions: inference("openai", "/v1/completions", "completions"),
  openaiEmbeddings: inference("openai", "/v1/embeddings", "embeddings"),
  rerank: inference("openai", "/v1/rerank", "rerank"),
  openaiResponses: inference("openai", "/v1/responses", "chat"),
  openaiInputTokens: inference("openai", "/v1/responses/input_tokens", "chat"),
  /** llama-server's own: what a text is to the model. */
  tokenize: inference("openai", "/tokenize", "tokens"),
  detokenize: inference("openai", "/detokenize", "tokens"),
  applyTemplate: inference("openai", "/apply-template", "tokens"),
  anthropicMessages: inference("anthropic", "/v1/messages", "chat"),
  anthropicCountTokens: inference("anthropic", "/v1/messages/count_tokens", "chat"),

  root: route("metadata", "ollama", "/", { open: true }),
  health: route("metadata", "ollama", "/healthz", { open: true }),
  /** For balancers: whether to send requests here. */
  ready: route("metadata", "ollama", "/readyz", { open: true }),
  version: route("metadata", "ollama", "/api/version", { open: true }),
  tags: route("metadata", "ollama", "/api/tags"),
  ps: route("metadata", "ollama", "/api/ps"),
  show: route("metadata", "ollama", "/api/show", { methods: POST, maxBytes: SMALL_BYTES }),
  models: route("metadata", "openai", "/v1/models"),
  model: route("metadata", "openai", "/v1/models/{model}", {
    parameter: /^[A-Za-z0-9._:/%-]{1,600}$/,
  }),
  receipt: route("metadata", "ollama", "/secllama/receipts/{id}", { parameter: RECEIPT_ID }),
  securityStatus: route("security", "ollama", "/api/security/status"),
  /** Runs the doctor on the host, for its own user. */
  doctor: route("owner", "ollama", "/secllama/doctor", {
    methods: POST,
    maxBytes: SMALL_BYTES,
  }),

  pull: management("/api/pull"),
  push: management("/api/push"),
  create: management("/api/create", { maxBytes: CREATE_BYTES }),
  copy: management("/api/copy"),
  delete: management("/api/delete", { methods: ["DELETE"] }),
  blob: management("/api/blobs/{digest}", {
    methods: [...GET, "POST"],
    maxBytes: Infinity,
    body: "bytes",
    parameter: /^[^/]{1,200}$/,
  }),

  sealedRequest: route("sealed", "sealed", "/sealed/v1", {
    methods: POST,
    maxBytes: SEALED_BYTES,
    body: "sealed",
    open: true,
    crossOrigin: true,
  }),
  identity: route("identity", "ollama", "/secllama/identity", {
    methods: POST,
    maxBytes: SMALL_BYTES,
  }),
  history: route("history", "ollama", "/secllama/history", {
    methods: [...GET, "POST"],
    maxBytes: CONVERSATION_BYTES,
  }),
  historySearch: route("history", "ollama", "/secllama/history/search", {
    methods: [...GET, "POST"],
    maxBytes: SMALL_BYTES,
  }),
  historyExport: route("history", "ollama", "/secllama/history/export"),
  historyImport: route("history", "ollama", "/secllama/history/import", {
    methods: POST,
    maxBytes: IMPORT_BYTES,
    body: "bytes",
  }),
  prompts: route("history", "ollama", "/secllama/prompts", {
    methods: [...GET, "PUT"],
    maxBytes: CREATE_BYTES,
  }),
  documents: route("history", "ollama", "/secllama/docs", {
    methods: [...GET, "POST"],
    maxBytes: DOCUMENT_BYTES,
    body: "bytes",
  }),
  documentSearch: route("history", "ollama", "/secllama/docs/search", {
    methods: POST,
    maxBytes: SMALL_BYTES,
  }),
  /** A PDF's pages that are pictures. */
  documentScan: route("history", "ollama", "/secllama/docs/scan", {
    methods: POST,
    maxBytes: DOCUMENT_BYTES,
    body: "bytes",
  }),
  /** The model that makes vectors of documents. */
  documentModel: route("history", "ollama", "/secllama/docs/model", {
    methods: [...GET, "PUT"],
    maxBytes: SMALL_BYTES,
  }),
  document: route("history", "ollama", "/secllama/docs/{id}", {
    methods: ["DELETE"],
    maxBytes: SMALL_BYTES,
    parameter: CONVERSATION_ID,
  }),
  conversationExport: conversation("/export", {}),
  conversation: conversation("", {
    methods: [...GET, "PATCH", "DELETE"],
    maxBytes: CONVERSATION_BYTES,
  }),
  messages: conversation("/messages", { methods: POST, maxBytes: INFERENCE_BYTES }),
  undelete: conversation("/undelete", { methods: POST, maxBytes: SMALL_BYTES }),
  erase: conversation("/erase", { methods: POST, maxBytes: SMALL_BYTES }),
  /** Takes the one-time secret of ten words; errors in plain JSON. See pairing_words.ts. */
  pairing: route("sealed", "ollama", "/sealed/v1/pair", {
    methods: POST,
    maxBytes: SMALL_BYTES,
    open: true,
  }),
  /** Who the identity provider is; and takes its ID token, for a person's session. See sign_in.ts. */
  signIn: route("sealed", "ollama", "/sealed/v1/sign-in", {
    methods: ["GET", "POST"],
    maxBytes: 2 * SMALL_BYTES,
    open: true,
  }),
  /** A newer ID token, for who is signed in. */
  session: route("metadata", "ollama", "/secllama/session", {
    methods: POST,
    maxBytes: SMALL_BYTES,
  }),
  sealedKey: route("sealed", "sealed", "/sealed/v1/key", { methods: ["GET"], crossOrigin: true }),

  pageScript: route("page", "ollama", "/secllama/page/app.js"),
  pageReading: route("page", "ollama", "/secllama/page/reading.js"),
  pageStyle: route("page", "ollama", "/secllama/page/app.css"),
  pageIcon: route("page", "ollama", "/secllama/page/icon.svg"),
  pageEnter: route("page", "ollama", "/secllama/page/enter", {
    methods: POST,
    maxBytes: SMALL_BYTES,
  }),
  pageReplies: route("page", "ollama", "/secllama/page/replies", {
    methods: [...GET, "POST"],
    maxBytes: INFERENCE_BYTES,
  }),
  pageReply: route("page", "ollama", "/secllama/page/replies/{id}", {
    methods: [...GET, "DELETE"],
    parameter: /^[0-9a-z]{1,64}$/,
  }),
} as const satisfies Readonly<Record<string, Route>>;

const ALL: readonly Route[] = Object.values(ROUTES);
const BY_PATH = new Map(ALL.map((row) => [row.path, row]));
/** Rows with a part in braces, and what stands before and after it. */
const WITH_PART = ALL.filter((row) => row.path.includes("{")).map((row) => {
  const [before, after] = row.path.split(/\{\w+\}/);
  return [before!, after!, row] as const;
});

/** Every row, or those of one kind. */
export function routes(kind?: Kind): readonly Route[] {
  return kind === undefined ? ALL : ALL.filter((row) => row.kind === kind);
}

/** A path without the one slash at its end that some clients add; what it means is the same. */
export function canonicalPath(path: string): string {
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}

/** The row of a path, one slash at its end or none; undefined: it is not served. */
export function routeOf(path: string): Route | undefined {
  const asked = canonicalPath(path);
  const exact = BY_PATH.get(asked);
  if (exact) return exact.parameter === undefined ? exact : undefined;
  return WITH_PART.find(([before, after, row]) =>
    asked.startsWith(before) && asked.endsWith(after) &&
    row.parameter!.test(asked.slice(before.length, asked.length - after.length))
  )?.[2];
}

/** Whether the row takes this method. */
export function takes(row: Route, method: string): boolean {
  return (row.methods as readonly string[]).includes(method);
}

/** The value of the header `Allow` for a path. */
export function allowed(row: Route): string {
  return [...row.methods, "OPTIONS"].join(", ");
}

/** Why a request is not served that no handler took: its path is unknown, or its method is not the path's. */
export function notServed(method: string, row: Route | undefined): SecLlamaError {
  if (row === undefined || takes(row, method)) {
    return new SecLlamaError("not-found", "not found", {
      hint: "to see the paths that are served, run: secllama help api",
    });
  }
  return new SecLlamaError("method-not-allowed", "method not allowed", {
    hint: `use ${row.methods.join(" or ")}`,
  });
}

/** The row's path as Hono writes patterns: `/v1/models/:model{.+}`. */
export function pattern(row: Route): string {
  return row.path.replace(/\{(\w+)\}$/, ":$1{.+}");
}

/** The part in braces of a path that belongs to the row, decoded; undefined: it cannot be decoded. */
export function parameterOf(row: Route, path: string): string | undefined {
  try {
    const asked = canonicalPath(path);
    const after = row.path.length - row.path.indexOf("}") - 1;
    return decodeURIComponent(asked.slice(row.path.indexOf("{"), asked.length - after));
  } catch {
    return undefined;
  }
}

/** A path of the row with `part` in the place of its braces; the inverse of {@link parameterOf}. */
export function pathOf(row: Route, part: string): string {
  return row.path.replace(/\{\w+\}/, () => encodeURIComponent(part));
}

/** The dialect whose errors a path's clients read, also where the path is not served. */
export function dialectOf(path: string): Dialect {
  const row = routeOf(path);
  if (row) return row.dialect;
  if (/^\/v1\/messages(?:\/|$)/.test(path)) return "anthropic";
  if (/^\/v1(?:\/|$)/.test(path)) return "openai";
  return /^\/sealed(?:\/|$)/.test(path) ? "sealed" : "ollama";
}

const METADATA: readonly Kind[] = ["metadata", "security", "owner"];

/** Whether a request is for the gateway itself, with a proof of who asks; nothing in it is a conversation. */
export function isMetadata(method: string, path: string): boolean {
  const row = routeOf(path);
  return row !== undefined && METADATA.includes(row.kind) && takes(row, method);
}

/**
 * Most bytes of a body sent to a path.
 * @param modelBytes What the operator lets a model's file have; 0: uploads are off.
 */
export function bodyLimit(method: string, path: string, modelBytes = 0): number {
  const row = routeOf(path);
  // What is not served is read by nobody, and 404 or 405 says more than 413.
  if (row === undefined || !takes(row, method)) return INFERENCE_BYTES;
  // Where uploads are off they are refused unread.
  return row.maxBytes === Infinity ? modelBytes || INFERENCE_BYTES : row.maxBytes;
}
