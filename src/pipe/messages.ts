/** The JSON that gateway and runner exchange on the pipe; key_frames.ts has the secrets. No behaviour. */
import type { PolicyPart } from "../linux/seccomp.ts";

/** Gateway → runner: the first message. Holds no secret. Paths are as the runner sees them. */
export interface BootMessage {
  readonly t: "boot";
  /** Canonical model name: "demo:latest". */
  readonly model: string;
  readonly modelPath: string;
  readonly libDir: string;
  /** False: plaintext exchanges are taken as well. */
  readonly encryption: boolean;
  /** The host's id, 32 hexadecimal digits. */
  readonly hid: string;
  /** Drawn for this start, 64 hexadecimal digits: what the keys that it is given were derived for. */
  readonly rn: string;
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

/** Gateway → runner: the report was believed; take exchanges. */
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
    /** How many times the host has changed its keys. */
    readonly gen: number;
    /** The host's word for this document, 64 hexadecimal digits. */
    readonly attest: string;
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
