/** Shared by the tests of this folder: a gateway and runner in one, on a real port, without a sandbox. */
import assert from "node:assert/strict";
import type { Bytes } from "../bytes.ts";
import { type ErrorCode, SecLlamaError, toSecLlamaError } from "../errors.ts";
import { SEALED_TYPE } from "../api/media_types.ts";
import { FakeHost } from "../sealed/fake_host.ts";
import { problemResponse } from "../api/problems.ts";
import { randomBytes } from "../sealed/primitives.ts";
import { type OpenedRequest, Recipient, type RecipientOptions } from "../sealed/recipient.ts";
import { type SealedFetch, sealedFetch } from "./sealed_fetch.ts";
import type { Credentials, SealedFetchOptions } from "./options.ts";

export const PSK_ID = "local.0123456789abcdef";

/** What the tests ask. */
export const CHAT = { model: "demo", messages: [{ role: "user", content: "hello" }] };

/** The error that it fails with, which has this code. */
export async function fails(
  promise: Promise<unknown>,
  code: ErrorCode,
): Promise<SecLlamaError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof SecLlamaError, `not a SecLlamaError: ${error}`);
    assert.equal(error.code, code);
    return error;
  }
  assert.fail(`passed, but should have failed with ${code}`);
}

/** A gateway's answer with this code. */
export function problem(code: ErrorCode): Response {
  return problemResponse(new SecLlamaError(code, "told by the test"));
}

interface Answer {
  readonly status?: number;
  readonly headers?: { readonly [name: string]: string };
  /** A newer key for the client, sealed to it, as after a rotation. */
  readonly renewal?: Uint8Array;
  /** Pieces of the body; each is sealed and sent on its own. */
  readonly body?: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

export interface Server extends AsyncDisposable {
  readonly gateway: string;
  readonly recipient: Recipient;
  readonly host: FakeHost;
  /** The client's own. */
  readonly psk: Bytes;
  readonly credentials: Credentials;
  readonly clock: { now: number };
  /** Requests that were opened, in order. */
  readonly opened: OpenedRequest[];
  /** How often each route was asked. */
  readonly counts: { keys: number; requests: number };
  /** Signals of the HTTP requests, for watching a client go. */
  readonly signals: AbortSignal[];
  /** Called before a route does its work; a Response it returns is sent instead. */
  intercept: (
    route: "key" | "sealed",
    request: Request,
  ) => Promise<Response | void> | Response | void;
  /** Changes the sealed reply's bytes on their way, as a hostile gateway could. */
  tamper: (bytes: Uint8Array, index: number) => Uint8Array | undefined;
  answer: (request: OpenedRequest) => Answer | Promise<Answer>;
}

/** Starts the server; leaving the scope of `await using` stops it. `psk` looks a client's PSK up. */
export async function serve(options: Partial<RecipientOptions> = {}): Promise<Server> {
  const psk = randomBytes(32);
  const clock = { now: Date.now() };
  const host = new FakeHost(options.psk ?? ((id) => id === PSK_ID ? psk : undefined));
  const recipient = await Recipient.init({
    model: "demo:latest",
    now: () => clock.now,
    ...options,
    ...host.recipient,
  });
  const http = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => handle(server, request).catch((error) => problemResponse(toSecLlamaError(error))),
  );
  const server: Server = {
    gateway: `http://127.0.0.1:${http.addr.port}`,
    recipient,
    host,
    psk,
    credentials: { psk, pskId: PSK_ID, hid: host.hid },
    clock,
    opened: [],
    counts: { keys: 0, requests: 0 },
    signals: [],
    intercept: () => {},
    tamper: (bytes) => bytes,
    answer: () => ({}),
    [Symbol.asyncDispose]: () => http.shutdown(),
  };
  return server;
}

async function handle(server: Server, request: Request): Promise<Response> {
  const url = new URL(request.url);
  const route = url.pathname === "/sealed/v1/key" ? "key" : "sealed";
  server.counts[route === "key" ? "keys" : "requests"]++;
  server.signals.push(request.signal);
  const instead = await server.intercept(route, request);
  if (instead) return instead;
  if (route === "key") return await keyAnswer(server, request);
  const opened = await server.recipient.open(request.body!);
  server.opened.push(opened);
  const answer = await server.answer(opened);
  const frames = async function* () {
    const { renewal } = answer;
    yield opened.reply.head(answer.status ?? 200, answer.headers ?? {}, { renewal });
    for await (const piece of answer.body ?? []) yield opened.reply.frame(piece);
    yield opened.reply.final();
  };
  const wire = async function* () {
    let index = 0;
    for await (const bytes of frames()) {
      const out = server.tamper(bytes, index++);
      if (out === undefined) return;
      yield out;
    }
  };
  return new Response(ReadableStream.from(wire()), {
    headers: { "content-type": SEALED_TYPE, "cache-control": "no-store, no-transform" },
  });
}

/** The answer with a key document. */
export async function keyAnswer(server: Server, request: Request): Promise<Response> {
  const { searchParams } = new URL(request.url);
  const suite = searchParams.get("suite");
  return Response.json(
    await server.host.document(server.recipient, {
      pskId: searchParams.get("id")!,
      model: searchParams.get("model")!,
      challenge: Uint8Array.fromHex(searchParams.get("c")!),
      ...(suite !== null && { suite: Number(suite) }),
    }),
  );
}

/** A sealed fetch for the server, with the right credentials unless told otherwise. */
export function client(server: Server, options: Partial<SealedFetchOptions> = {}): SealedFetch {
  return sealedFetch({
    gateway: server.gateway,
    credentials: () => Promise.resolve(server.credentials),
    ...options,
  });
}

/** `fetch` options of a POST with this JSON. */
export function post(json: unknown, more: RequestInit = {}): RequestInit {
  return {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(json),
    ...more,
  };
}
