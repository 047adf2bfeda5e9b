/**
 * Which faults can occur at which path, and a request that has each: what live_errors_test.ts asks of a `serve` and its proxy. Every
 * path of src/api/routes.ts is in the table by what it reads; one that is in no list fails the test.
 */
import { type Route, ROUTES, routes, takes } from "../../src/api/routes.ts";
import { END, type FAULTS, HOST, JSON_TYPE, pathOf, posted } from "./error_table.ts";

export type Door = "proxy" | "gateway";

/** One request that has a fault. */
export interface FaultCase {
  readonly request: string;
  /** The message, where it is one that clients match on. */
  readonly text?: string;
  /** A fault of what is also a method that the path has not. */
  readonly allow?: string;
}

/** Paths whose body is JSON with a model's name. */
const WITH_MODEL: readonly Route[] = [
  ...routes("inference"),
  ROUTES.show,
  ROUTES.pull,
  ROUTES.create,
  ROUTES.delete,
];

/** Paths whose body is another JSON object. */
const WITH_OBJECT: readonly Route[] = [
  ROUTES.copy,
  ROUTES.identity,
  ROUTES.doctor,
  ROUTES.history,
  ROUTES.historySearch,
  ROUTES.prompts,
  ROUTES.documentSearch,
  ROUTES.documentModel,
  ROUTES.conversation,
  ROUTES.messages,
  ROUTES.pageEnter,
  ROUTES.pageReplies,
  ROUTES.pairing,
  ROUTES.signIn,
  ROUTES.session,
];

/** Paths whose body is a file or a sealed request. */
const WITH_BYTES: readonly Route[] = [
  ROUTES.blob,
  ROUTES.historyImport,
  ROUTES.documents,
  ROUTES.documentScan,
  ROUTES.sealedRequest,
];

/** Paths that a body may be sent to, and means nothing. */
const WITHOUT: readonly Route[] = [
  ROUTES.push,
  ROUTES.document,
  ROUTES.undelete,
  ROUTES.erase,
  ROUTES.pageReply,
];

/** Paths of the table that are in no list of what they read, or in two. */
export function unplaced(): string[] {
  const placed = [...WITH_MODEL, ...WITH_OBJECT, ...WITH_BYTES, ...WITHOUT];
  return routes().filter((row) => {
    const times = placed.filter((one) => one === row).length;
    return times !== (bodyMethods(row).length > 0 ? 1 : 0);
  }).map(({ path }) => path);
}

function bodyMethods(row: Route): string[] {
  return row.methods.filter((method) => method !== "GET" && method !== "HEAD");
}

/** Whether a door answers a path: the proxy makes sealed requests and takes none, and keeps this user's own to itself. */
export function isServed(row: Route, door: Door): boolean {
  // Where no other machine comes, and no identity provider is configured.
  if (row === ROUTES.pairing || row === ROUTES.signIn || row === ROUTES.session) return false;
  if (door === "proxy") return row.kind !== "sealed";
  return row.kind !== "identity" && row.kind !== "history" && row.kind !== "page";
}

function bare(method: string, path: string, fields = ""): string {
  return `${method} ${path} HTTP/1.1\r\n${HOST}${fields}${END}`;
}

const NOT_JSON: readonly [body: string, text: string][] = [
  ["", "missing request body"],
  ["{", "the request body must be JSON"],
  ["\xff", "the request body must be UTF-8"],
  ["[1]", "the request body must be a JSON object"],
  ['"x"', "the request body must be a JSON object"],
  ["null", "the request body must be a JSON object"],
];
const NO_MODEL = ["{}", '{"model":""}', '{"model":7}', '{"model":null}', '{"name":[]}'];
/** As a user writes them. */
const MODELS = ["Nothing", "library/none", "me/Nothing:7B"];
/** Names that are none: to whoever asks such a model something, it is not here. */
const NO_NAMES = ["../x", "CON", "a b"];

type Cases = (row: Route, door: Door) => readonly FaultCase[];

/** Sends it with each method that has a body. */
function sent(row: Route, body: string, fields = JSON_TYPE): FaultCase[] {
  return bodyMethods(row).map((method) => ({ request: posted(method, pathOf(row), body, fields) }));
}

/** With any method that the path has. */
function whatever(row: Route, fields: string): FaultCase[] {
  const method = bodyMethods(row)[0] ?? row.methods[0]!;
  return [{ request: `${method} ${pathOf(row)} HTTP/1.1\r\n${fields}` }];
}

/** Inference that comes to the gateway is refused unread. */
function reads(list: readonly Route[], row: Route, door: Door): boolean {
  return list.includes(row) && isServed(row, door) &&
    !(row.kind === "inference" && door === "gateway");
}

/** Larger bodies are not sent whole here. */
const MOST_SENT = 128 * 1024;

/** Methods with which a door reads a body of the path: removing a conversation reads nothing. */
function readingMethods(row: Route, door: Door): string[] {
  if (!reads([...WITH_MODEL, ...WITH_OBJECT], row, door)) return [];
  return bodyMethods(row).filter((method) => row !== ROUTES.conversation || method !== "DELETE");
}

/** Methods with which a door takes a file as it comes. */
function streamedMethods(row: Route, door: Door): string[] {
  const streamed: readonly Route[] = [ROUTES.blob, ROUTES.historyImport];
  return streamed.includes(row) && isServed(row, door) ? ["POST"] : [];
}

/** Every fault that the doors themselves can find. What a runner finds is asked of its API. */
export const CASES: { readonly [fault in keyof typeof FAULTS]?: Cases } = {
  notFound: (row, door) =>
    isServed(row, door) || row === ROUTES.session && door === "proxy"
      ? []
      : ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].filter((method) =>
        // What a listener says of a body's type and length comes first.
        row.maxBytes > 0 || method === "GET" || method === "OPTIONS" || !takes(row, method)
      ).map((method) => ({
        text: "not found",
        request: method === "GET" || method === "OPTIONS"
          ? bare(method, pathOf(row))
          : posted(method, pathOf(row), "{}", bodyFields(row)),
      })),
  method: (row, door) => {
    if (!isServed(row, door)) return [];
    const allow = [...row.methods, "OPTIONS"].join(", ");
    return ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"].filter((m) => !takes(row, m)).map((
      method,
    ) => ({
      text: "method not allowed",
      allow,
      request: method === "GET" || method === "TRACE"
        ? bare(method, pathOf(row))
        : posted(method, pathOf(row), "{}"),
    }));
  },
  unknownMethod: (row) => [{ request: bare("BREW", pathOf(row)), text: "the method is not known" }],
  mediaType: (row) =>
    [
      ...sent(row, "{}", "Content-Type: text/plain\r\n"),
      ...sent(row, "{}", "Content-Type: multipart/form-data; boundary=x\r\n"),
      ...sent(row, "{}", `${JSON_TYPE}Content-Encoding: br\r\n`),
      ...(row.body === "json" ? sent(row, "{}", "Content-Type: application/xml\r\n") : []),
    ].filter(() => row.maxBytes > 0),
  tooLarge: (row, door) => {
    if (row.maxBytes === Infinity) return [];
    const text = row.maxBytes === 0
      ? "this path takes no body"
      : `the request's body is over ${
        row.maxBytes >= 1 << 20 ? `${row.maxBytes >> 20} MiB` : `${row.maxBytes >> 10} KiB`
      }`;
    const fields = `HTTP/1.1\r\n${HOST}${bodyFields(row)}`;
    const announced = bodyMethods(row).map((method) => ({
      text,
      request: `${method} ${pathOf(row)} ${fields}Content-Length: ${row.maxBytes + 1}\r\n${END}`,
    }));
    if (row.maxBytes > MOST_SENT) return announced;
    // Its length is not told before: whoever reads it counts.
    const body = `${row.maxBytes.toString(16)}\r\n${" ".repeat(row.maxBytes)}\r\n1\r\n `;
    return [
      ...announced,
      ...readingMethods(row, door).map((method) => ({
        text,
        request: `${method} ${
          pathOf(row)
        } ${fields}Transfer-Encoding: chunked\r\n${END}${body}\r\n0\r\n\r\n`,
      })),
    ];
  },
  badHead: (row) => [
    ...whatever(row, `${HOST}Bad Name: x\r\n${END}`),
    ...whatever(row, `${HOST}${HOST}${END}`),
    ...whatever(row, `${HOST}Expect: magic\r\n${END}`),
    ...row.methods.includes("GET")
      ? [{
        request: `GET ${pathOf(row)} HTTP/1.1\r\n${HOST}${JSON_TYPE}Content-Length: 2\r\n${END}{}`,
      }]
      : [],
  ],
  longHead: (row) => whatever(row, `${HOST}X: ${"a".repeat(40_000)}`),
  host: (row) => whatever(row, `Host: evil.example\r\n${END}`),
  origin: (row) => [
    ...whatever(row, `${HOST}Origin: http://evil.example\r\n${END}`),
    ...whatever(row, `${HOST}Sec-Fetch-Site: cross-site\r\n${END}`),
  ],
  badBody: (row, door) =>
    reads([...WITH_MODEL, ...WITH_OBJECT], row, door)
      ? NOT_JSON.flatMap(([body, text]) => sent(row, body).map((one) => ({ ...one, text })))
        .filter(({ request }) =>
          readingMethods(row, door).some((method) => request.startsWith(method))
        )
      : [],
  badChunks: (row, door) =>
    [...readingMethods(row, door), ...streamedMethods(row, door)].flatMap((method) =>
      ["zz\r\n{}\r\n0\r\n\r\n", "1\r\n{}\r\n0\r\n\r\n", "2\n{}\n0\n\n"].map((body) => ({
        text: "the chunked body is malformed",
        request: `${method} ${pathOf(row)} HTTP/1.1\r\n${HOST}${
          bodyFields(row)
        }Transfer-Encoding: chunked\r\n${END}${body}`,
      }))
    ),
  noModelField: (row, door) =>
    reads(WITH_MODEL, row, door)
      ? NO_MODEL.flatMap((body) => sent(row, body))
        .map((one) => ({ ...one, text: "model is required" }))
      : [],
  noModel: (row, door) =>
    // What is to be fetched or made need not be here.
    reads(WITH_MODEL, row, door) && row !== ROUTES.pull && row !== ROUTES.create
      ? [...MODELS, ...(row.kind === "inference" ? NO_NAMES : [])].flatMap((model) =>
        sent(row, JSON.stringify({ model })).map((one) => ({
          ...one,
          text: `model '${model}' not found`,
        }))
      )
      : [],
  plaintext: (row, door) =>
    door === "gateway" && (row.kind === "inference" || row === ROUTES.sealedRequest)
      ? ["", "{", '{"model":"demo"}'].flatMap((body) => sent(row, body))
      : [],
};

function bodyFields(row: Route): string {
  return row.body === "sealed"
    ? "Content-Type: application/vnd.secllama.sealed;v=1\r\n"
    : JSON_TYPE;
}
