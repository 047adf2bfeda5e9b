/**
 * The Secret Service's own state, asked over D-Bus with gdbus: `secret-tool` answers a missing item, a locked collection, a
 * wrong password, a corrupt keyring and a killed daemon with the same silent exit code 1, so nothing it says about
 * absence is believed before this was asked. No call here returns or carries a secret.
 *
 * Source: freedesktop.org Secret Service API draft 0.2; gnome-keyring's keyring file formats.
 */
import type { StoreStatus, YesNoUnknown } from "./store.ts";
import { unreachable } from "./unreachable.ts";
import { type RunProgram, runProgram } from "./program.ts";
import { OTHER_SOURCES, storeHint } from "./packages.ts";

const GDBUS = "/usr/bin/gdbus";

type Env = { readonly [name: string]: string | undefined };

interface SecretServiceOptions {
  /** The caller's environment; four variables of it reach the tools. */
  readonly env: Env;
  readonly timeoutMs: number;
  readonly run?: RunProgram;
}

const SERVICE = "/org/freedesktop/secrets";
const NO_COLLECTION = "/";

/** The only variables that secret-tool and gdbus get. Messages are kept in English by LC_ALL. */
export function toolEnvironment(env: Env): Record<string, string> {
  const out: Record<string, string> = { LC_ALL: "C.UTF-8" };
  for (const name of ["DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "HOME"]) {
    const value = env[name];
    if (value) out[name] = value;
  }
  return out;
}

export class SecretService {
  readonly #options: SecretServiceOptions;
  readonly #run: RunProgram;

  constructor(options: SecretServiceOptions) {
    this.#options = options;
    this.#run = options.run ?? runProgram;
  }

  /** Reachability, lock state and encryption of the default collection. Never throws, never prompts. */
  async probe(): Promise<StoreStatus> {
    const alias = await this.#call(SERVICE, "org.freedesktop.Secret.Service.ReadAlias", "default");
    const collection = /^\(objectpath '([^']*)',\)/.exec(alias.text)?.[1];
    if (collection === undefined) return this.#unreachable(alias.failure);
    if (collection === NO_COLLECTION) {
      return {
        reachable: true,
        locked: false,
        writable: false,
        encryptedAtRest: "unknown",
        reason: "the Secret Service has no default keyring yet",
        hint: "log in to the desktop once, or make a keyring with a password, " +
          `or ${OTHER_SOURCES}`,
      };
    }
    const property = await this.#call(
      collection,
      "org.freedesktop.DBus.Properties.Get",
      "org.freedesktop.Secret.Collection",
      "Locked",
    );
    const locked = /^\(<(true|false)>,\)/.exec(property.text)?.[1];
    if (locked === undefined) return this.#unreachable(property.failure);
    const encryptedAtRest = await keyringEncryption(this.#options.env, collection);
    return locked === "true"
      ? {
        reachable: true,
        locked: true,
        writable: false,
        encryptedAtRest,
        reason: "the default keyring is locked",
        hint: "unlock it: log in to the desktop, or run " +
          "gnome-keyring-daemon --unlock with the password on standard input",
      }
      : { reachable: true, locked: false, writable: encryptedAtRest !== "no", encryptedAtRest };
  }

  /**
   * Object paths of the items that have all `attributes`, in locked collections too; undefined if D-Bus did not answer.
   * Names and values are letters, digits, `.` and `-`: they are put between quotes as they are.
   */
  async search(attributes: Record<string, string>): Promise<string[] | undefined> {
    const dictionary = Object.entries(attributes).map(([k, v]) => `'${k}': '${v}'`).join(", ");
    const reply = await this.#call(
      SERVICE,
      "org.freedesktop.Secret.Service.SearchItems",
      `{${dictionary}}`,
    );
    if (!reply.text.startsWith("(")) return undefined;
    return [...reply.text.matchAll(/'(\/org\/freedesktop\/secrets\/[A-Za-z0-9_\/]+)'/g)]
      .map((match) => match[1]!);
  }

  /** The `account` attribute of the item at `path`; undefined if it has none or D-Bus did not answer. */
  async account(path: string): Promise<string | undefined> {
    const reply = await this.#call(
      path,
      "org.freedesktop.DBus.Properties.Get",
      "org.freedesktop.Secret.Item",
      "Attributes",
    );
    return /'account': '([a-z0-9]+)'/.exec(reply.text)?.[1];
  }

  async #call(path: string, method: string, ...args: string[]) {
    try {
      const result = await this.#run(GDBUS, [
        "call",
        "--session",
        "--dest",
        "org.freedesktop.secrets",
        "--object-path",
        path,
        "--method",
        method,
        ...args,
      ], { env: toolEnvironment(this.#options.env), timeoutMs: this.#options.timeoutMs });
      if (result.code === 0) return { text: new TextDecoder().decode(result.stdout) };
      return { text: "", failure: result.timedOut ? "silent" as const : "refused" as const };
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return { text: "", failure: "no-gdbus" as const };
      throw error;
    }
  }

  #unreachable(failure: "silent" | "refused" | "no-gdbus" | undefined): StoreStatus {
    const { env } = this.#options;
    const [reason, hint] = failure === "no-gdbus"
      ? [`${GDBUS} is not installed`, storeHint("install it")]
      : failure === "silent"
      ? [
        `the Secret Service did not answer within ${this.#options.timeoutMs / 1000} s`,
        `restart gnome-keyring-daemon, or ${OTHER_SOURCES}`,
      ]
      : !env["DBUS_SESSION_BUS_ADDRESS"] && !env["XDG_RUNTIME_DIR"]
      ? ["there is no D-Bus session", storeHint("log in to a desktop session")]
      : [
        "no program on the D-Bus session offers the Secret Service",
        storeHint("start a keyring, such as gnome-keyring-daemon"),
      ];
    return unreachable(reason, hint);
  }
}

/**
 * Whether gnome-keyring's file of `collection` is encrypted, by its first bytes; a keyring with a blank password is a
 * text file with the secrets in it. "unknown" for another provider, or where the file may not be read.
 */
async function keyringEncryption(env: Env, collection: string): Promise<YesNoUnknown> {
  const data = env["XDG_DATA_HOME"] || (env["HOME"] ? `${env["HOME"]}/.local/share` : "");
  // D-Bus object paths write a byte that is not a letter or digit as `_` and two hexadecimal digits.
  const name = collection.slice(collection.lastIndexOf("/") + 1)
    .replace(/_([0-9a-f]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  if (!data.startsWith("/") || name.includes("/") || name.includes("\0")) return "unknown";
  try {
    using file = await Deno.open(`${data}/keyrings/${name}.keyring`);
    const head = new Uint8Array(16);
    const n = await file.read(head) ?? 0;
    const text = new TextDecoder("latin1").decode(head.subarray(0, n));
    if (text.startsWith("GnomeKeyring\n\r\0\n")) return "yes";
    return text.startsWith("[keyring]") ? "no" : "unknown";
  } catch {
    return "unknown";
  }
}
