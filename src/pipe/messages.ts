/** The JSON that gateway and runner exchange on the pipe, and the binary layout of the key frame. No behaviour. */
import { type Bytes, concat, utf8, utf8Decode } from "../bytes.ts";
import type { PolicyPart } from "../linux/seccomp.ts";
import { broken } from "./frame.ts";

/** Gateway → runner: the first message. Holds no secret. Paths are as the runner sees them. */
export interface BootMessage {
  readonly t: "boot";
  /** Canonical model name: "demo:latest". */
  readonly model: string;
  readonly modelPath: string;
  readonly libDir: string;
  /** False: plaintext exchanges are taken as well. */
  readonly encryption: boolean;
  /** LoRA adapters, as the runner sees them. */
  readonly adapterPaths: readonly string[];
  readonly defaults: BootDefaults;
  readonly engine: {
    readonly contextLength: number;
    readonly slots: number;
    readonly threads: number;
    readonly queueLimit: number;
    /** Whether to compute on a GPU; a runner that finds none fails. */
    readonly gpu: boolean;
  };
  /** Whether to install the stage-2 filter: false only when the operator switched the sandbox off. */
  readonly lockdown: boolean;
  /** What stage 2 leaves open beside its own list: what a GPU's driver needs after load. */
  readonly stage2More: PolicyPart | null;
  /** Live listeners of the gateway to attack before any key is given; null when the sandbox is off. */
  readonly targets: unknown;
  readonly version: string;
}

/** Bytes of {@link BootDefaults} as JSON: they travel in one control frame, with the rest of the boot message. */
export const MAX_DEFAULTS_BYTES = 192 * 1024;

/** What the model's Modelfile says, for requests that say nothing else. */
export interface BootDefaults {
  /** In Ollama's template language; absent: the GGUF file's own. */
  readonly template?: string;
  readonly system?: string;
  readonly messages?: readonly { readonly role: string; readonly content: string }[];
  /** PARAMETER lines by their names in `options`. */
  readonly options?: { readonly [name: string]: unknown };
}

/** Gateway → runner: keys have been sent; take exchanges. */
export interface ServeMessage {
  readonly t: "serve";
}

/** Runner → gateway: loaded, locked down, attacked. */
export interface ReadyMessage {
  readonly t: "ready";
  readonly loadMs: number;
  readonly lockdown: readonly unknown[];
  readonly attacks: readonly unknown[];
  /** Deno's, as the runner queried them. */
  readonly permissions: { readonly [name: string]: string };
  readonly info: { readonly [key: string]: unknown };
}

/** Runner → gateway: the ids (hex) of the recipient keys that are valid now. */
export interface RecipientsMessage {
  readonly t: "recipients";
  readonly ids: readonly string[];
}

/** Runner → gateway: a request asked that the model stay loaded this long once idle; -1 is for ever. */
export interface KeepAliveMessage {
  readonly t: "keep_alive";
  readonly ms: number;
}

/** Runner → gateway: a paired client has sealed under its newest key, so that its older ones can go. */
export interface RenewedMessage {
  readonly t: "renewed";
  readonly id: string;
}

/** Runner → gateway: the runner cannot serve. `code` is one of errors.ts. */
export interface FailedMessage {
  readonly t: "failed";
  readonly code: string;
  readonly message: string;
}

/** Gateway → runner: answer, to show that you live. */
export interface PingMessage {
  readonly t: "ping";
}

/** Runner → gateway: the answer to a ping. */
export interface PongMessage {
  readonly t: "pong";
  /** Requests that the engine works on. */
  readonly busy: number;
  /** Batches decoded since the start. */
  readonly steps: number;
}

export type ToRunner = BootMessage | ServeMessage | PingMessage;
export type FromRunner =
  | ReadyMessage
  | RecipientsMessage
  | KeepAliveMessage
  | RenewedMessage
  | FailedMessage
  | PongMessage;

/** Head of an exchange. `sealed`: the body is a sealed request. `plain`: only with encryption off. */
export type OpenHead =
  | {
    readonly kind: "key";
    readonly id: string;
    readonly c: string;
    readonly model: string;
    /** Milliseconds that the client waited for the model to be loaded; 0 if it was. */
    readonly waitedMs: number;
    readonly suite: number;
  }
  | { readonly kind: "sealed" }
  | {
    readonly kind: "plain";
    readonly method: string;
    readonly path: string;
    readonly headers: { readonly [name: string]: string };
    /** As for `key`. */
    readonly waitedMs: number;
  };

/** Head of the answer. `sealed`: its data are sealed frames. */
export interface AnswerHead {
  readonly status: number;
  readonly headers: { readonly [name: string]: string };
}

/**
 * The pre-shared keys of a secret frame: `count u16 | (length u8 | id | psk[32])*`. Replaces all earlier ones. The first is the
 * active key's own: a client under another one is given its key under that.
 */
export function encodePsks(
  entries: readonly { readonly pskId: string; readonly psk: Uint8Array }[],
): Bytes {
  const parts: Uint8Array[] = [Uint8Array.of(entries.length >>> 8, entries.length)];
  for (const { pskId, psk } of entries) {
    const id = utf8(pskId);
    if (id.length > 255 || psk.length !== 32) {
      throw new RangeError("a psk id is over 255 bytes, or a psk not 32 bytes");
    }
    parts.push(Uint8Array.of(id.length), id, psk);
  }
  return concat(...parts);
}

/** @throws {SecLlamaError} `pipe-broken` if the layout is wrong. Returned keys are copies. */
export function decodePsks(payload: Uint8Array): Map<string, Bytes> {
  const keys = new Map<string, Bytes>();
  const count = (payload[0] ?? 0) * 256 + (payload[1] ?? 0);
  let at = 2;
  for (let i = 0; i < count; i++) {
    const end = at + 1 + (payload[at] ?? 0);
    if (end + 32 > payload.length) throw broken("a key frame is cut short");
    keys.set(utf8Decode(payload.subarray(at + 1, end)), payload.slice(end, end + 32) as Bytes);
    at = end + 32;
  }
  if (at !== payload.length) throw broken("a key frame has bytes left over");
  return keys;
}
