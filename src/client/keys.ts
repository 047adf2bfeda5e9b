/** Fetches, verifies and keeps the key documents of a gateway's runners. */
import { ROUTES } from "../api/routes.ts";
import { namedRunner, RUNNER_HEADER } from "../api/runner_name.ts";
import { toHex } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { CHALLENGE_BYTES } from "../sealed/key_document.ts";
import { MEMBER_HEADER } from "../sealed/member.ts";
import { isUsable, type VerifiedKey, verifyKeyDocument } from "../sealed/sender.ts";
import type { Credentials, Transport } from "./options.ts";
import type { ProvenSender } from "./proven.ts";
import { readJson, readRefusal } from "./refusal.ts";

/** More models than one client talks to; the oldest goes first. */
const MAX_KEPT = 64;

/** A runner's key, and what a balancer between us and it goes by. */
export interface RunnerKey extends VerifiedKey {
  /** The value of `Secllama-Runner` for requests that are sealed to this key. */
  readonly runner: string;
}

export class KeyCache {
  readonly #transport: Transport;
  readonly #sender: ProvenSender;
  readonly #kept = new Map<string, { readonly key: RunnerKey; readonly contextLength: number }>();

  constructor(transport: Transport, sender: ProvenSender) {
    this.#transport = transport;
    this.#sender = sender;
  }

  /**
   * The key of the runner of `model`, from memory until it expires, or until more context is wanted than was told before.
   * @param wish.contextLength Tokens, a power of two; absent: whatever the model has.
   * @throws {GatewayRefusal} If the gateway refuses, `model-not-found` for one.
   * @throws {SecLlamaError} What `verifyKeyDocument` throws; `gateway-unreachable`.
   */
  async get(
    model: string,
    credentials: Credentials,
    { contextLength = 0, signal }: { contextLength?: number | undefined; signal: AbortSignal },
  ): Promise<RunnerKey> {
    const name = keptName(model, credentials);
    const kept = this.#kept.get(name);
    if (
      kept !== undefined && isUsable(kept.key, this.#transport.now()) &&
      contextLength <= kept.contextLength
    ) return kept.key;
    const key = await this.#fetch(model, credentials, { contextLength, signal });
    this.#kept.delete(name);
    this.#kept.set(name, { key, contextLength });
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= MAX_KEPT) break;
      this.#kept.delete(oldest);
    }
    return key;
  }

  /** Forgets `key`, unless a newer one has taken its place meanwhile. */
  forget(model: string, credentials: Credentials, key: RunnerKey): void {
    const name = keptName(model, credentials);
    if (this.#kept.get(name)?.key === key) this.#kept.delete(name);
  }

  async #fetch(
    model: string,
    credentials: Credentials,
    { contextLength, signal }: { contextLength: number; signal: AbortSignal },
  ): Promise<RunnerKey> {
    const { psk, pskId, hid, issuer } = credentials;
    const { suite, now } = this.#transport;
    const challenge = crypto.getRandomValues(new Uint8Array(CHALLENGE_BYTES));
    const url = this.#transport.url(ROUTES.sealedKey.path);
    url.searchParams.set("model", model);
    url.searchParams.set("id", pskId);
    url.searchParams.set("c", toHex(challenge));
    // Suite 1 is what a gateway announces unasked.
    if (suite !== 1) url.searchParams.set("suite", String(suite));
    if (contextLength > 0) url.searchParams.set("ctx", String(contextLength));
    const sentAt = now();
    const response = await this.#sender.send(url, credentials, { signal });
    const receivedAt = now();
    if (!response.ok) throw await readRefusal(response);
    const document = await readJson(response).catch((cause) => {
      signal.throwIfAborted();
      if (cause instanceof SecLlamaError) throw cause;
      throw new SecLlamaError("truncated", "the connection broke inside the key document", {
        cause,
      });
    });
    const times = { sentAt, receivedAt };
    const member = response.headers.get(MEMBER_HEADER);
    const about = { psk, hid, issuer, member, model, challenge, suite, ...times };
    const key = await verifyKeyDocument(document, about);
    return { ...key, runner: runnerOf(key, response.headers.get(RUNNER_HEADER)) };
  }
}

/** What the answer said in clear of the key that it has, if that is true; else the key's own name, without a host's. */
function runnerOf({ rk }: VerifiedKey, said: string | null): string {
  const own = toHex(rk);
  return said !== null && namedRunner(said) === own ? said : own;
}

function keptName(model: string, credentials: Credentials): string {
  return `${credentials.pskId}\n${model}`;
}
