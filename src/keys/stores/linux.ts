/**
 * The Secret Service through `/usr/bin/secret-tool`: GNOME Keyring, KWallet, KeePassXC. Secrets travel on the tool's
 * standard input and output only. Its exit code says too little; see secret_service.ts for who is asked instead.
 */
import type { Bytes } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import { HINTS } from "../../hints.ts";
import { wipe } from "../../secret.ts";
import { type KeyStore, locked, plaintextKeyring, type StoreStatus, unavailable } from "./store.ts";
import { storeHint } from "./packages.ts";
import { type ProgramResult, type RunProgram, runProgram } from "./program.ts";
import { SecretService, toolEnvironment } from "./secret_service.ts";

const SECRET_TOOL = "/usr/bin/secret-tool";

/** `secret-tool store` cuts a longer value there and reports success. */
const VALUE_CAP_BYTES = 8_192;
/** Nobody waits there; a machine with much to do may need seconds for what takes milliseconds. */
const HEADLESS_TIMEOUT_MS = 15_000;
const PROMPT_TIMEOUT_MS = 60_000;
/** How long an answer "reachable and unlocked" is believed. */
const PROBE_LIFE_MS = 2_000;

interface SecretServiceStoreOptions {
  readonly env: { readonly [name: string]: string | undefined };
  /** Lower-case letters, digits and `-`. `default` uses the attribute `service secllama`. */
  readonly profile: string;
  /** Whether somebody is there to answer the keyring's prompt. */
  readonly interactive: boolean;
  readonly run?: RunProgram;
  readonly timeoutMs?: number;
}

export class SecretServiceStore implements KeyStore {
  readonly backend = "secret-service";
  readonly #options: SecretServiceStoreOptions;
  readonly #run: RunProgram;
  readonly #bus: SecretService;
  readonly #service: string;
  /** The last answer "reachable and unlocked", and until when it is believed. */
  #usable: { status: StoreStatus; untilMs: number } | undefined;

  constructor(options: SecretServiceStoreOptions) {
    this.#options = options;
    this.#run = options.run ?? runProgram;
    this.#bus = new SecretService({
      env: options.env,
      timeoutMs: options.timeoutMs ?? HEADLESS_TIMEOUT_MS,
      run: this.#run,
    });
    this.#service = options.profile === "default" ? "secllama" : `secllama.${options.profile}`;
  }

  async probe(): Promise<StoreStatus> {
    const status = await this.#bus.probe();
    if (!status.reachable) return status;
    try {
      await Deno.stat(SECRET_TOOL);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return noSecretTool();
    }
    return status;
  }

  async get(account: string): Promise<Bytes | undefined> {
    await this.#beforeUse();
    const result = await this.#tool(["lookup", ...this.#attributes(account)]);
    if (result.code === 0) return result.stdout;
    wipe(result.stdout);
    await this.#explainFailure(result);
    const found = await this.#bus.search({ service: this.#service, account });
    if (found === undefined) throw unavailable(await this.probe());
    if (found.length > 0) {
      throw new SecLlamaError(
        "key-store-unavailable",
        `the key store has the item ${account} but did not return it`,
        { hint: HINTS.keyStoreState },
      );
    }
    return undefined;
  }

  async put(account: string, value: Uint8Array): Promise<void> {
    if (value.length > VALUE_CAP_BYTES) {
      throw new SecLlamaError(
        "internal",
        `a value of ${value.length} bytes is over ${VALUE_CAP_BYTES}`,
      );
    }
    const status = await this.#beforeUse() ?? await this.probe();
    if (status.encryptedAtRest === "no") throw plaintextKeyring();
    const label = account === "head" ? "SecLlama keyset head" : `SecLlama key ${account}`;
    const result = await this.#tool(
      ["store", `--label=${label}`, ...this.#attributes(account)],
      value,
    );
    if (result.code !== 0) {
      await this.#explainFailure(result);
      throw new SecLlamaError("key-store-unavailable", "the key store did not keep the item", {
        hint: HINTS.keyStoreState,
      });
    }
    // A keyring that the prompt just made may have a blank password.
    if (!status.writable && (await this.probe()).encryptedAtRest === "no") {
      await this.remove(account);
      throw plaintextKeyring();
    }
  }

  async remove(account: string): Promise<void> {
    await this.#beforeUse();
    const result = await this.#tool(["clear", ...this.#attributes(account)]);
    if (result.code !== 0) await this.#explainFailure(result);
    const left = await this.#bus.search({ service: this.#service, account });
    if (left === undefined) throw unavailable(await this.probe());
    if (left.length > 0) {
      throw new SecLlamaError("key-store-unavailable", `the item ${account} is still there`, {
        hint: HINTS.keyStoreState,
      });
    }
  }

  async list(): Promise<string[]> {
    await this.#beforeUse();
    const paths = await this.#bus.search({ service: this.#service });
    if (paths === undefined) throw unavailable(await this.probe());
    const accounts = new Set<string>();
    for (const path of paths) {
      const account = await this.#bus.account(path);
      if (account !== undefined) accounts.add(account);
    }
    return [...accounts];
  }

  #attributes(account: string): string[] {
    return ["service", this.#service, "account", account];
  }

  /**
   * Without somebody to answer, a locked keyring must not raise a prompt on some screen: ask first, and say what was
   * answered. With somebody there the tool itself is asked.
   */
  async #beforeUse(): Promise<StoreStatus | undefined> {
    if (this.#options.interactive) return undefined;
    if (this.#usable !== undefined && performance.now() < this.#usable.untilMs) {
      return this.#usable.status;
    }
    const status = await this.probe();
    if (!status.reachable) throw unavailable(status);
    if (status.locked) throw locked(status);
    if (!status.writable && status.encryptedAtRest !== "no") throw unavailable(status);
    this.#usable = { status, untilMs: performance.now() + PROBE_LIFE_MS };
    return status;
  }

  async #tool(args: string[], stdin?: Uint8Array): Promise<ProgramResult> {
    try {
      return await this.#run(SECRET_TOOL, args, {
        env: toolEnvironment(this.#options.env),
        timeoutMs: this.#options.timeoutMs ??
          (this.#options.interactive ? PROMPT_TIMEOUT_MS : HEADLESS_TIMEOUT_MS),
        ...(stdin === undefined ? {} : { stdin }),
      });
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) throw unavailable(noSecretTool(), error);
      throw error;
    }
  }

  /** Throws what D-Bus says is wrong; returns if the store is reachable and unlocked. */
  async #explainFailure(result: ProgramResult): Promise<void> {
    this.#usable = undefined;
    const status = await this.probe();
    if (!status.reachable) throw unavailable(status);
    if (status.locked) {
      if (!this.#options.interactive) throw locked(status);
      throw new SecLlamaError("key-cancelled", "the keyring was not unlocked", {
        hint: "run the command again and answer the keyring's prompt",
      });
    }
    if (!status.writable && status.encryptedAtRest !== "no") throw unavailable(status);
    if (result.timedOut) {
      throw new SecLlamaError("key-store-unavailable", "the key store did not answer in time", {
        hint: "restart gnome-keyring-daemon and run the command again",
      });
    }
  }
}

function noSecretTool(): StoreStatus {
  return {
    reachable: false,
    locked: false,
    writable: false,
    encryptedAtRest: "unknown",
    reason: `${SECRET_TOOL} is not installed`,
    hint: storeHint("install it"),
  };
}
