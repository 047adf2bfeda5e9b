/**
 * The one line that `serve` writes to its proxy's standard input: where the gateway is, and the pre-shared key and the host's
 * id where no store has the key. The end of that input is the end of the proxy.
 */
import type { Credentials } from "../client/mod.ts";
import { type ErrorCode, isErrorCode, SecLlamaError } from "../errors.ts";
import { errorOf, failureOf } from "../history/calls.ts";
import type { VaultKey } from "../history/vault.ts";
import { secret, wipe } from "../secret.ts";
import type { Backend, KeyFacts, RingSource } from "../keys/mod.ts";

/** Stores that the proxy can read by itself, without asking anybody anything. */
const OS_STORES: ReadonlySet<Backend> = new Set([
  "secret-service",
  "macos-keychain",
  "windows-credential-manager",
]);
/** Longer than any line that serve writes. */
const MAX_LINE_CHARACTERS = 4096;

export interface Handover {
  readonly gateway: string;
  /** Absent: read the key store. Each call gives a copy, for the caller to zero. */
  readonly credentials?: () => Promise<Credentials>;
  /** The history's keys, or why there are none; each call gives a copy. With `credentials`, and only then. */
  readonly vault?: () => Promise<VaultKey[]>;
}

/** Where the proxy finds its key, or the key itself. */
export type HandedKeys = RingSource & Pick<KeyFacts, "backend">;

/**
 * The line for a gateway and the keys that it serves with. It may hold keys: it goes to the pipe and nowhere else.
 * @param openVault The history's keys, where no store of the system's gives them to the proxy.
 */
export async function encodeHandover(
  gateway: string,
  keys: HandedKeys,
  openVault: () => Promise<VaultKey[]>,
): Promise<string> {
  if (OS_STORES.has(keys.backend)) return JSON.stringify({ gateway, store: true });
  using ring = await keys.ring();
  const { pskId, psk, hid } = ring.credentials()!;
  using _wiped = secret(psk);
  const vault = await openVault().catch(failureOf);
  try {
    return JSON.stringify({
      gateway,
      pskId,
      psk: psk.toBase64(),
      hid: hid.toBase64(),
      vault: Array.isArray(vault)
        ? vault.map(({ id, key }) => ({ id, key: key.toBase64() }))
        : vault,
    });
  } finally {
    if (Array.isArray(vault)) wipe(...vault.map(({ key }) => key));
  }
}

/** @throws {SecLlamaError} `usage` for a line that {@link encodeHandover} does not write. */
export function parseHandover(line: string): Handover {
  const { gateway, store, pskId, psk, hid, vault } = parseObject(line);
  if (typeof gateway !== "string") throw unexpected("got a line without a gateway");
  if (store === true) return { gateway };
  if (typeof pskId !== "string" || typeof psk !== "string" || typeof hid !== "string") {
    throw unexpected("got a line that it does not know");
  }
  const [key, host] = [parseBytes(psk, 32), parseBytes(hid, 16)];
  return {
    gateway,
    credentials: () => Promise.resolve({ pskId, psk: key.slice(), hid: host }),
    vault: parseVault(vault),
  };
}

function parseVault(vault: unknown): () => Promise<VaultKey[]> {
  if (Array.isArray(vault)) {
    const keys = vault.map((one) => {
      const { id, key } = Object(one) as Record<string, unknown>;
      return { id: String(id), key: parseBytes(String(key), 32) };
    });
    return () => Promise.resolve(keys.map(({ id, key }) => ({ id, key: key.slice() })));
  }
  const { code, message, hint } = Object(vault) as Record<string, unknown>;
  const failure = {
    code: typeof code === "string" && isErrorCode(code) ? code : "internal" as ErrorCode,
    message: String(message),
    ...(typeof hint === "string" ? { hint } : {}),
  };
  return () => Promise.reject(errorOf(failure));
}

/**
 * Reads the line from a pipe whose end calls `onEnd`. Null: serve has ended before it had a gateway.
 * @throws {SecLlamaError} `usage` as {@link parseHandover}, and for no line or one too long.
 */
export async function readHandover(
  input: ReadableStream<Uint8Array>,
  onEnd: () => void,
): Promise<Handover | null> {
  const reader = input.getReader();
  const decoder = new TextDecoder();
  let text = "";
  while (!text.includes("\n")) {
    const { done, value } = await reader.read();
    if (done && text === "") return null;
    if (done || text.length > MAX_LINE_CHARACTERS) {
      throw unexpected("expects a line on standard input");
    }
    text += decoder.decode(value, { stream: true });
  }
  void (async () => {
    while (!(await reader.read()).done) { /* serve writes nothing more */ }
    onEnd();
  })();
  return parseHandover(text.slice(0, text.indexOf("\n")));
}

function parseObject(line: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch { /* said below: the text may hold a key */ }
  if (typeof value !== "object" || value === null) throw unexpected("got a line that is no object");
  return value as Record<string, unknown>;
}

function parseBytes(base64: string, length: number): Uint8Array<ArrayBuffer> {
  let key: Uint8Array<ArrayBuffer> | undefined;
  try {
    key = Uint8Array.fromBase64(base64);
  } catch { /* said below */ }
  if (key?.length !== length) throw unexpected("got a key that is none");
  return key;
}

function unexpected(what: string): SecLlamaError {
  return new SecLlamaError("usage", `--from-serve ${what}`, {
    hint: "it is for serve, which starts its own proxy; by hand, run: secllama proxy",
  });
}
