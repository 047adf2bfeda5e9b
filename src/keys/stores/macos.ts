/**
 * The macOS login keychain through `/usr/bin/security`. Secrets are written as a command line on the standard input of
 * `security -i`, never in argv, and read back to be believed: that mode drops an unterminated line, splits a long one, and
 * exits 0 both times. The default access list lets any process of this user that runs `security` read an item silently.
 */
import { type Bytes, concat, equalConstantTime, utf8, utf8Decode } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import { HINTS } from "../../hints.ts";
import { secret, wipe } from "../../secret.ts";
import { type ProgramResult, type RunProgram, runProgram } from "./program.ts";
import { type KeyStore, locked, type StoreStatus, unavailable } from "./store.ts";
import { unreachable } from "./unreachable.ts";

const SECURITY = "/usr/bin/security";

/** `security -i` splits a longer line in two. */
const LINE_CAP_BYTES = 4_095;
const HEADLESS_TIMEOUT_MS = 15_000;
const PROMPT_TIMEOUT_MS = 60_000;

/** Exit codes: the low byte of the OSStatus. */
const NOT_FOUND = 44;
const LOCKED = [36, 51];
const CANCELLED = 128;
const NO_KEYCHAIN = [37, 50];

interface MacosStoreOptions {
  readonly env: { readonly [name: string]: string | undefined };
  readonly profile: string;
  readonly interactive: boolean;
  readonly run?: RunProgram;
  readonly timeoutMs?: number;
}

export class MacosStore implements KeyStore {
  readonly backend = "macos-keychain";
  readonly #options: MacosStoreOptions;
  readonly #service: string;

  constructor(options: MacosStoreOptions) {
    this.#options = options;
    this.#service = options.profile === "default" ? "secllama" : `secllama.${options.profile}`;
  }

  async probe(): Promise<StoreStatus> {
    let result: ProgramResult;
    try {
      result = await this.#security(["show-keychain-info"]);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      return unreachable(`${SECURITY} is not there`);
    }
    if (result.code === 0) {
      return { reachable: true, locked: false, writable: true, encryptedAtRest: "yes" };
    }
    if (LOCKED.includes(result.code) || result.code === CANCELLED) {
      return {
        reachable: true,
        locked: true,
        writable: false,
        encryptedAtRest: "yes",
        reason: "the login keychain is locked",
        hint: HINTS.unlockKeychain,
      };
    }
    return unreachable(
      NO_KEYCHAIN.includes(result.code)
        ? "this user has no keychain in this session"
        : result.timedOut
        ? "security did not answer in time"
        : `security ended with code ${result.code}`,
    );
  }

  async get(account: string): Promise<Bytes | undefined> {
    const result = await this.#tool([
      "find-generic-password",
      "-a",
      account,
      "-s",
      this.#service,
      "-w", // last, but as an output flag here; in add-generic-password a bare -w reads /dev/tty
    ]);
    if (result.code === 0) return result.stdout;
    wipe(result.stdout);
    if (result.code === NOT_FOUND) return undefined;
    throw await this.#failure(result);
  }

  async put(account: string, value: Uint8Array): Promise<void> {
    const command = utf8(
      `add-generic-password -U -a ${account} -s ${this.#service} -l SecLlama -w `,
    );
    using line = secret(concat(command, value, utf8("\n")));
    // The line is split at white space and quotes, and is one line only.
    if (line.length > LINE_CAP_BYTES || value.some((b) => b <= 0x20 || b > 0x7e || isQuote(b))) {
      throw new SecLlamaError("internal", "the value cannot be written on a line of security -i");
    }
    const result = await this.#tool(["-i"], line);
    if (result.code !== 0) throw await this.#failure(result);
    using back = secret(await this.get(account));
    const end = back?.at(-1) === 0x0a ? back.length - 1 : back?.length;
    if (back === undefined || !equalConstantTime(back.subarray(0, end), value)) {
      throw new SecLlamaError("key-store-unavailable", "the keychain did not keep the item", {
        hint: HINTS.keyStoreState,
      });
    }
  }

  async remove(account: string): Promise<void> {
    const result = await this.#tool([
      "delete-generic-password",
      "-a",
      account,
      "-s",
      this.#service,
    ]);
    if (result.code !== 0 && result.code !== NOT_FOUND) throw await this.#failure(result);
    using left = secret(await this.get(account));
    if (left !== undefined) {
      throw new SecLlamaError("key-store-unavailable", `the item ${account} is still there`);
    }
  }

  /** Reads attributes only: `dump-keychain` without `-d` prints no secret and asks for nothing. */
  async list(): Promise<string[]> {
    const result = await this.#tool(["dump-keychain"]);
    if (result.code !== 0) throw await this.#failure(result);
    const accounts: string[] = [];
    for (const item of utf8Decode(result.stdout).split(/^keychain: /m)) {
      if (!item.includes(`"svce"<blob>="${this.#service}"`)) continue;
      const account = /"acct"<blob>="([a-z0-9]+)"/.exec(item)?.[1];
      if (account !== undefined) accounts.push(account);
    }
    return accounts;
  }

  async #tool(args: string[], stdin?: Uint8Array): Promise<ProgramResult> {
    try {
      return await this.#security(args, stdin);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) {
        throw unavailable(unreachable(`${SECURITY} is not there`), error);
      }
      throw error;
    }
  }

  #security(args: string[], stdin?: Uint8Array): Promise<ProgramResult> {
    const { env, interactive, timeoutMs } = this.#options;
    return (this.#options.run ?? runProgram)(SECURITY, args, {
      env: env["HOME"] ? { HOME: env["HOME"] } : {},
      timeoutMs: timeoutMs ?? (interactive ? PROMPT_TIMEOUT_MS : HEADLESS_TIMEOUT_MS),
      ...(stdin === undefined ? {} : { stdin }),
    });
  }

  async #failure(result: ProgramResult): Promise<SecLlamaError> {
    if (result.code === CANCELLED) {
      return new SecLlamaError("key-cancelled", "the keychain's prompt was cancelled", {
        hint: "run the command again and allow the access",
      });
    }
    const status = await this.probe();
    if (LOCKED.includes(result.code)) {
      return locked({
        ...status,
        reason: "the login keychain is locked or does not allow this",
        hint: status.hint ?? HINTS.unlockKeychain,
      });
    }
    return unavailable(
      status.reachable ? unreachable(`security ended with code ${result.code}`) : status,
    );
  }
}

function isQuote(byte: number): boolean {
  return byte === 0x22 || byte === 0x27 || byte === 0x5c;
}
