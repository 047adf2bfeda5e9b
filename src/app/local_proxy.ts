/**
 * Requests to the proxy of this user and this machine, each on a connection whose other end has proven itself first. What is
 * sent there is not sealed yet, so neither another program on that port, nor one that takes it between the proof and the
 * request, may get it: both go over the one connection.
 */
import { Agent, type IncomingMessage, request as httpRequest } from "node:http";
import { connect, Socket } from "node:net";
import { join } from "node:path";
import { Readable } from "node:stream";
import { BYTES_TYPE, JSON_TYPE } from "../api/media_types.ts";
import {
  announcementName,
  CHALLENGE_BYTES,
  LAUNCH_HEADER,
  readAnnouncement,
  readOwnToken,
  readSignature,
  signedText,
} from "../api/proxy_identity.ts";
import { ROUTES } from "../api/routes.ts";
import { type Bytes, toBase64Url } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { listenerUids, ownUid } from "../http/peer.ts";
import { takeUpTo } from "../read_up_to.ts";
import { readLaunch } from "./page_launch.ts";

/** Whoever does not answer so small a request in this time is not ours. */
const PROOF_TIMEOUT_MS = 10_000;
/** One that this user's proxy has announced may be ours on a machine that is very busy. */
const ANNOUNCED_TIMEOUT_MS = 60_000;
const MAX_PROOF_BYTES = 4096;

/**
 * Nothing of this user's is on the port: nothing at all, or another program. Only then may somebody else be asked instead; a proxy
 * that is slow, or that ends in the middle, is still the one that was meant.
 */
export class NoOwnProxy extends SecLlamaError {}

export interface LocalProxy {
  readonly hostname: string;
  readonly port: number;
  /** The data folder that the proxy announced itself in. */
  readonly dataDir: string;
}

export interface LocalRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  /** JSON, or the bytes of a file. */
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** The page's launch secret, where there is one. */
  readonly launch?: string;
}

/**
 * Asks the proxy, once it has proven itself.
 * @throws {NoOwnProxy} `gateway-unreachable` if nothing listens, `peer-refused` if what listens is not this user's proxy (nothing but
 * a challenge was sent to it).
 * @throws {SecLlamaError} `gateway-unreachable` if it ends in the middle, or does not answer at all; `cancelled`.
 */
export async function askLocalProxy(proxy: LocalProxy, ask: LocalRequest): Promise<Response> {
  refuseOthers(proxy);
  const { key, token } = await announced(proxy);
  const agent = oneConnection(proxy);
  try {
    await prove(proxy, key, agent, ask.signal);
    // Only to whom has proven itself.
    const launch = await readLaunch(proxy.dataDir, proxy.port);
    const message = await send(proxy, agent, launch === null ? ask : { ...ask, launch }, token);
    message.once("close", () => agent.destroy());
    return toResponse(message);
  } catch (cause) {
    agent.destroy();
    if (cause instanceof SecLlamaError) throw cause;
    if (ask.signal.aborted) throw new SecLlamaError("cancelled", "cancelled");
    throw brokenOff(proxy, cause);
  }
}

/**
 * While no proxy of ours runs, any user of the machine may listen on its port.
 * @throws {NoOwnProxy} `peer-refused`.
 */
function refuseOthers({ hostname, port }: LocalProxy): void {
  if (Deno.build.os !== "linux") return;
  if (listenerUids(port).every((uid) => uid === ownUid())) return;
  throw refused(`another user's program listens on ${hostname}:${port}`);
}

/** The proxy's key, and the token that it takes from us: it is shown once the key has proven whose it is. */
async function announced(
  { dataDir, port }: LocalProxy,
): Promise<{ key?: Bytes | undefined; token?: string | undefined }> {
  try {
    const text = await Deno.readTextFile(join(dataDir, announcementName(port)));
    return { key: readAnnouncement(text), token: readOwnToken(text) };
  } catch {
    return {};
  }
}

/** An agent that makes one connection and no second one. */
function oneConnection({ hostname, port }: LocalProxy): Agent {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let made = false;
  Object.assign(agent, {
    createConnection(): Socket {
      // The agent tries again by itself, from within an event, also for who has given up: what it is given fails as a
      // connection does, whether somebody listens or not.
      if (made) {
        return new Socket().on("error", () => {})
          .destroy(new Error("the proven connection was closed"));
      }
      made = true;
      return connect({ host: hostname, port });
    },
  });
  return agent;
}

/** @throws {SecLlamaError} As {@link askLocalProxy}. */
async function prove(
  proxy: LocalProxy,
  key: Bytes | undefined,
  agent: Agent,
  signal: AbortSignal,
): Promise<void> {
  const challenge = crypto.getRandomValues(new Uint8Array(CHALLENGE_BYTES));
  const timeoutMs = key === undefined ? PROOF_TIMEOUT_MS : ANNOUNCED_TIMEOUT_MS;
  const late = AbortSignal.timeout(timeoutMs);
  let answer: unknown;
  try {
    const message = await send(proxy, agent, {
      method: "POST",
      path: ROUTES.identity.path,
      body: JSON.stringify({ challenge: toBase64Url(challenge) }),
      signal: AbortSignal.any([signal, late]),
    });
    answer = JSON.parse(await text(message));
  } catch (cause) {
    if (signal.aborted) throw new SecLlamaError("cancelled", "cancelled");
    if ((cause as { code?: unknown })?.code === "ECONNREFUSED") throw unreachable(proxy, cause);
    if (late.aborted) throw key === undefined ? stranger(proxy) : silent(proxy);
    throw await notOurs(proxy);
  }
  const signature = readSignature(answer);
  if (key === undefined || signature === undefined) throw await notOurs(proxy);
  const imported = await crypto.subtle.importKey("raw", key, "Ed25519", false, ["verify"]);
  const signed = signedText(proxy.port, challenge);
  if (!await crypto.subtle.verify("Ed25519", imported, signature, signed)) {
    throw await notOurs(proxy);
  }
}

function send(
  proxy: LocalProxy,
  agent: Agent,
  ask: LocalRequest,
  token?: string,
): Promise<IncomingMessage> {
  const body = typeof ask.body === "string" ? new TextEncoder().encode(ask.body) : ask.body;
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      agent,
      method: ask.method,
      path: ask.path,
      signal: ask.signal,
      headers: {
        ...ask.headers,
        host: `${proxy.hostname}:${proxy.port}`,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : {
          "content-type": typeof ask.body === "string" ? JSON_TYPE : BYTES_TYPE,
          "content-length": String(body.length),
        }),
        ...(ask.launch === undefined ? {} : { [LAUNCH_HEADER]: ask.launch }),
      },
    }, resolve);
    request.on("error", reject);
    request.end(body);
  });
}

async function text(message: IncomingMessage): Promise<string> {
  const decoder = new TextDecoder();
  let out = "";
  for await (const chunk of message) {
    out += decoder.decode(chunk as Uint8Array, { stream: true });
    if (out.length > MAX_PROOF_BYTES) throw new Error("too long an answer");
  }
  return out;
}

function toResponse(message: IncomingMessage): Response {
  const headers = new Headers();
  for (const [name, value] of Object.entries(message.headers)) {
    if (typeof value === "string") headers.set(name, value);
  }
  const status = message.statusCode ?? 502;
  const empty = [101, 204, 205, 304].includes(status);
  const body = empty ? null : Readable.toWeb(message) as unknown as ReadableStream<Uint8Array>;
  return new Response(body, { status, headers });
}

/**
 * Looks whether the port of a proxy that is to start is free, to say by name who has it. Whoever takes it afterwards is seen by the
 * proxy itself.
 * @throws {SecLlamaError} `port-in-use`.
 */
export async function refuseTakenPort({ hostname, port }: LocalProxy): Promise<void> {
  try {
    return Deno.listen({ hostname, port }).close();
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) return; // the proxy says what is wrong
  }
  const what = `port ${port} of ${hostname} is in use`;
  const elsewhere = `secllama serve --proxy-port=${port === 11444 ? 11445 : 11444}`;
  switch (await holderOf({ hostname, port })) {
    case "ollama":
      throw new SecLlamaError("port-in-use", `${what}: Ollama has it, or what speaks like it`, {
        hint: `end it (systemctl stop ollama, or quit its app), or run beside it: ${elsewhere}`,
      });
    case "secllama":
      throw new SecLlamaError("port-in-use", `${what}: a SecLlama serves there already`, {
        hint: `to see what it has loaded: secllama ps; for a second one: ${elsewhere}`,
      });
    default:
      throw new SecLlamaError("port-in-use", what, {
        hint: `end the program that has it, or use another port: ${elsewhere}`,
      });
  }
}

/** What listens there, where it says so by itself. Asked for nothing that is anybody's. */
export async function holderOf(
  { hostname, port }: Pick<LocalProxy, "hostname" | "port">,
): Promise<"secllama" | "ollama" | "unknown"> {
  try {
    const signal = AbortSignal.timeout(PROOF_TIMEOUT_MS);
    const url = `http://${hostname}:${port}${ROUTES.version.path}`;
    const { body } = await fetch(url, { signal, redirect: "error" });
    if (body === null) return "unknown";
    // It may be anything, and say as much as it likes.
    const said = await takeUpTo(body, MAX_PROOF_BYTES);
    const answer = JSON.parse(new TextDecoder().decode(said));
    const { secllama, version } = Object(answer) as Record<string, unknown>;
    if (typeof secllama === "string") return "secllama";
    return typeof version === "string" ? "ollama" : "unknown";
  } catch {
    return "unknown"; // it speaks no such language
  }
}

async function notOurs({ hostname, port }: LocalProxy): Promise<SecLlamaError> {
  const address = `${hostname}:${port}`;
  const holder = await holderOf({ hostname, port });
  if (holder === "secllama") {
    return refused(
      `a SecLlama of another data folder or profile answers on ${address}`,
      "run the command with its SECLLAMA_DATA_DIR or --profile; nothing was sent to it",
    );
  }
  return refused(
    holder === "ollama"
      ? `what answers on ${address} is Ollama, or speaks like it; it is not SecLlama`
      : `what answers on ${address} is not SecLlama`,
  );
}

function stranger({ hostname, port }: LocalProxy): SecLlamaError {
  return refused(
    `what listens on ${hostname}:${port} has not proven in ${
      PROOF_TIMEOUT_MS / 1000
    } seconds that it is SecLlama`,
  );
}

function silent({ hostname, port }: LocalProxy): SecLlamaError {
  return new SecLlamaError(
    "gateway-unreachable",
    `the proxy on ${hostname}:${port} has not answered in ${ANNOUNCED_TIMEOUT_MS / 1000} seconds`,
    {
      hint: "nothing was sent to it; the machine may be very busy: try again, or end serve and " +
        "start it again",
    },
  );
}

function brokenOff({ hostname, port }: LocalProxy, cause: unknown): SecLlamaError {
  return new SecLlamaError(
    "gateway-unreachable",
    `the proxy on ${hostname}:${port} ended before it answered`,
    { hint: "to see whether it runs again: secllama status", cause },
  );
}

function refused(
  message: string,
  hint = "nothing was sent to it; end it, or use another port: secllama serve --proxy-port=N",
): SecLlamaError {
  return new NoOwnProxy("peer-refused", message, { hint });
}

function unreachable({ hostname, port }: LocalProxy, cause: unknown): SecLlamaError {
  return new NoOwnProxy("gateway-unreachable", `no proxy answers on ${hostname}:${port}`, {
    hint: "to start one: secllama serve; if it has another port: --proxy-port",
    cause,
  });
}
