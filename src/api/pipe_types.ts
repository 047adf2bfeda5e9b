/** The JSON that gateway and runner exchange on the pipe; the secrets go in src/pipe/key_frames.ts. No behaviour. */
import type { ErrorCode } from "../errors.ts";
import type { CallTerms } from "./call_terms.ts";
import type { EngineKind } from "./engine_kinds.ts";

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
  /** A smaller model that guesses tokens ahead, as the runner sees it; null: none does. */
  readonly draftPath: string | null;
  /** For a model that sees, as the runner sees them; null: it reads text only. */
  readonly vision: { readonly libraryPath: string; readonly projectorPath: string } | null;
  /** Somebody else's engine that computes the model, beside the runner; null: the runner does. */
  readonly foreign: {
    readonly kind: EngineKind;
    /** Path of its Unix socket, as the runner sees it. */
    readonly socket: string;
    /** The descriptor of what it prints. */
    readonly outputFd: number;
  } | null;
  /** Numbers of the model's metadata that llama.cpp is to take from here, not with the type they have in the file. */
  readonly retyped: readonly {
    readonly key: string;
    readonly kind: "int" | "float";
    readonly value: number;
  }[];
  readonly defaults: BootDefaults;
  /** Whether the prompts of `/v1/completions` go through the template. */
  readonly templateCompletions: boolean;
  readonly engine: {
    readonly contextLength: number;
    readonly cacheCells: number;
    readonly slots: number;
    readonly threads: number;
    readonly queueLimit: number;
    /** Type of the cache, for a model whose heads allow it. */
    readonly cacheType: "f16" | "q8_0";
    /** Whether to compute on a GPU; a runner that finds none fails. */
    readonly gpu: boolean;
  };
  /** Whether to install the stage-2 filter: false only when the operator switched the sandbox off. */
  readonly lockdown: boolean;
  /** What stage 2 leaves open beside its own list: what a GPU's driver needs after load. */
  readonly stage2More: PolicyMessage | null;
  /** Live listeners of the gateway to attack before any key is given; null when the sandbox is off. */
  readonly targets: object | null;
  readonly version: string;
}

/** How long a runner whose engine has ended takes to say so in the replies that it was making. */
export const LAST_WORDS_MS = 2000;

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

/** System calls that stage 2 is to let pass; src/linux/seccomp.ts says what each field means. */
export interface PolicyMessage {
  readonly calls: { readonly [call: string]: string };
  readonly conditional: readonly {
    readonly call: string;
    readonly arch?: "x86_64" | "aarch64";
    readonly when: readonly (ValueTest | MemoryTest)[];
    readonly else?: string;
    readonly why: string;
  }[];
}

interface ValueTest {
  readonly arg: number;
  readonly wide?: boolean;
  readonly mask?: number | string;
  readonly equals: readonly (number | string)[];
}

interface MemoryTest {
  readonly arg: number;
  readonly length?: number;
  readonly lengthArg?: number;
  readonly outside: "files";
}

/** Gateway → runner: the report was believed; take exchanges. */
export interface ServeMessage {
  readonly t: "serve";
}

/** What a runner says of one layer of its sandbox. The gateway only holds it against the runner. */
export interface OwnReport {
  /** The layer's name, as the plan has it. */
  readonly layer: string;
  /** Whether it holds, in the runner's own eyes. */
  readonly enforced: boolean;
  /** The reading, or the error. */
  readonly observed: string;
}

/** What a runner says of its attack on one listener. */
export interface AttackResult {
  /** Which listener. */
  readonly target: string;
  /** blocked: the kernel refused a call on the way. out: no call was refused. not run: there is no target, or no way to call. */
  readonly outcome: "blocked" | "out" | "not run";
  /** The call that was refused, or the last one. */
  readonly step: string;
  /** "EACCES", or "" if nothing was refused. */
  readonly errno: string;
}

/** Runner → gateway: loaded, locked down, attacked. */
export interface ReadyMessage {
  readonly t: "ready";
  readonly loadMs: number;
  /** Whether it reads pictures or sound, where it was given what that takes. */
  readonly sees: boolean;
  /** Whether a draft model guesses tokens ahead. */
  readonly drafts: boolean;
  readonly lockdown: readonly OwnReport[];
  readonly attacks: readonly AttackResult[];
  /** Deno's, as the runner queried them. */
  readonly permissions: { readonly [name: string]: string };
}

/** Runner → gateway: how much of the model's file is loaded. */
export interface LoadingMessage {
  readonly t: "loading";
  readonly percent: number;
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
  /** The psk_id of the request's sender: not every client may have a model unloaded. */
  readonly client?: string;
}

/** Runner → gateway: the runner cannot serve; after it was ready: it ends, within {@link LAST_WORDS_MS}. */
export interface FailedMessage {
  readonly t: "failed";
  readonly code: ErrorCode;
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
/** Runner → gateway: tokens that an exchange cost, in parts that add up. The last part comes before the reply's last bytes. */
export interface UsedMessage {
  /** What the message is. */
  readonly t: "used";
  /** Its number on the pipe. */
  readonly exchange: number;
  /** Of the prompt, those from the cache included. */
  readonly prompt: number;
  /** Of the reply. */
  readonly reply: number;
  /** Ms from the request's opening to its first token; absent: it has none. */
  readonly firstMs?: number;
  /** Ms from the first token to the last. */
  readonly restMs?: number;
}

/** What an exchange cost, or a part of it. */
export type UsedTokens = Omit<UsedMessage, "t" | "exchange">;

/** Runner → gateway: what an exchange asks for is not let to its client. Comes before the answer that says so, sealed. */
export interface RefusedMessage {
  readonly t: "refused";
  /** Its number on the pipe. */
  readonly exchange: number;
  readonly code: "role-refused";
}

/** Runner → gateway: what the line of an exchange says whose client wants a receipt (receipt.ts). Comes before the reply's last bytes. */
export interface ReceiptMessage {
  readonly t: "receipt";
  /** Its number on the pipe. */
  readonly exchange: number;
  /** 32 hexadecimal digits. */
  readonly id: string;
  /** 64 hexadecimal digits. */
  readonly request: string;
  /** 64 hexadecimal digits. */
  readonly reply: string;
}

export type FromRunner =
  | LoadingMessage
  | ReadyMessage
  | RecipientsMessage
  | KeepAliveMessage
  | UsedMessage
  | ReceiptMessage
  | RefusedMessage
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
  | {
    readonly kind: "sealed";
    /** What the role of whoever its header names lets it be; absent: anything. */
    readonly terms?: CallTerms;
  }
  | {
    readonly kind: "plain";
    /** Whose it is, as far as the gateway can tell: "plain uid 1000". No psk id has a space. */
    readonly client: string;
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
