/**
 * The Windows Credential Manager: CredWriteW and CredReadW by FFI, because `cmdkey` takes the secret in argv and cannot
 * read it back; `cmdkey` to list and delete, which needs no secret. The target is `SecLlama:<profile>:<account>`.
 *
 * Source: wincred.h, CREDENTIALW; the layout below is the one of 64-bit Windows.
 */
import type { Bytes } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import { wipe } from "../../secret.ts";
import { addressOf } from "../../linux/libc.ts";
import { type ProgramResult, type RunProgram, runProgram } from "./program.ts";
import { type KeyStore, type StoreStatus, unavailable } from "./store.ts";
import { unreachable } from "./unreachable.ts";

const ADVAPI32 = "C:\\Windows\\System32\\advapi32.dll";
const KERNEL32 = "C:\\Windows\\System32\\kernel32.dll";
const CMDKEY = "C:\\Windows\\System32\\cmdkey.exe";

/** CREDENTIALW: size in bytes and offsets of the fields that are used. */
export const CREDENTIAL = {
  size: 80,
  type: 4,
  target: 8,
  blobSize: 32,
  blob: 40,
  persist: 48,
  user: 72,
} as const;
const CRED_TYPE_GENERIC = 1;
const CRED_PERSIST_LOCAL_MACHINE = 2;
const BLOB_CAP_BYTES = 2_560;
const ERROR_NOT_FOUND = 1168;
const ERROR_NO_SUCH_LOGON_SESSION = 1312;
const TIMEOUT_MS = 5_000;

/** The three functions of advapi32 and one of kernel32, as Deno.dlopen gives them. Tests put a fake here. */
export interface CredentialFfi {
  CredWriteW(credential: BufferSource, flags: number): number;
  CredReadW(target: BufferSource, type: number, flags: number, out: BufferSource): number;
  CredFree(credential: Deno.PointerObject): void;
  GetLastError(): number;
}

interface WindowsStoreOptions {
  readonly env: { readonly [name: string]: string | undefined };
  readonly profile: string;
  readonly run?: RunProgram;
  readonly ffi?: () => CredentialFfi;
}

export class WindowsStore implements KeyStore {
  readonly backend = "windows-credential-manager";
  readonly #options: WindowsStoreOptions;
  #library: CredentialFfi | undefined;

  constructor(options: WindowsStoreOptions) {
    this.#options = options;
  }

  probe(): Promise<StoreStatus> {
    try {
      wipe(this.#read("head"));
      return Promise.resolve({
        reachable: true,
        locked: false,
        writable: true,
        encryptedAtRest: "yes", // by DPAPI, under the user's logon secret
      });
    } catch (error) {
      if (!(error instanceof SecLlamaError)) return Promise.reject(error);
      const reason = error.message.replace("the key store is not available: ", "");
      return Promise.resolve(unreachable(reason));
    }
  }

  // deno-lint-ignore require-await -- so that a failure is a rejection
  async get(account: string): Promise<Bytes | undefined> {
    return this.#read(account);
  }

  // deno-lint-ignore require-await -- so that a failure is a rejection
  async put(account: string, value: Uint8Array): Promise<void> {
    if (value.length > BLOB_CAP_BYTES) {
      throw new SecLlamaError(
        "internal",
        `a value of ${value.length} bytes is over ${BLOB_CAP_BYTES}`,
      );
    }
    const target = wide(this.#target(account));
    const user = wide(account);
    const blob = new Uint8Array(value);
    const credential = new Uint8Array(CREDENTIAL.size);
    const view = new DataView(credential.buffer);
    view.setUint32(CREDENTIAL.type, CRED_TYPE_GENERIC, true);
    view.setBigUint64(CREDENTIAL.target, addressOf(target), true);
    view.setUint32(CREDENTIAL.blobSize, blob.length, true);
    view.setBigUint64(CREDENTIAL.blob, addressOf(blob), true);
    view.setUint32(CREDENTIAL.persist, CRED_PERSIST_LOCAL_MACHINE, true);
    view.setBigUint64(CREDENTIAL.user, addressOf(user), true);
    const ffi = this.#ffi();
    const ok = ffi.CredWriteW(credential, 0);
    const error = ok === 0 ? ffi.GetLastError() : 0;
    // Used after the call, so that the memory the struct points into cannot be collected before it.
    wipe(target, user, blob);
    if (ok === 0) throw failure("CredWriteW", error);
  }

  async remove(account: string): Promise<void> {
    const present = this.#read(account);
    if (present === undefined) return;
    wipe(present);
    await this.#cmdkey([`/delete:${this.#target(account)}`]);
    // What cmdkey prints is in the user's language; whether the item is gone is not.
    const left = this.#read(account);
    wipe(left);
    if (left !== undefined) {
      throw new SecLlamaError("key-store-unavailable", `the item ${account} is still there`);
    }
  }

  async list(): Promise<string[]> {
    const result = await this.#cmdkey(["/list"]);
    if (result.code !== 0) {
      throw unavailable(unreachable(`cmdkey ended with code ${result.code}`));
    }
    const prefix = `target=${this.#target("")}`;
    const accounts: string[] = [];
    for (const line of new TextDecoder("latin1").decode(result.stdout).split(/\r?\n/)) {
      const at = line.indexOf(prefix);
      const account = at < 0 ? undefined : /^[a-z0-9]+/.exec(line.slice(at + prefix.length))?.[0];
      if (account !== undefined) accounts.push(account);
    }
    return accounts;
  }

  #target(account: string): string {
    return `SecLlama:${this.#options.profile}:${account}`;
  }

  #read(account: string): Bytes | undefined {
    const ffi = this.#ffi();
    const out = new BigUint64Array(1);
    if (ffi.CredReadW(wide(this.#target(account)), CRED_TYPE_GENERIC, 0, out) === 0) {
      const error = ffi.GetLastError();
      if (error === ERROR_NOT_FOUND) return undefined;
      throw failure("CredReadW", error);
    }
    const credential = Deno.UnsafePointer.create(out[0]!);
    if (credential === null) throw failure("CredReadW", 0);
    try {
      const view = new Deno.UnsafePointerView(credential);
      const size = view.getUint32(CREDENTIAL.blobSize);
      const blob = view.getPointer(CREDENTIAL.blob);
      const value = new Uint8Array(Math.min(size, BLOB_CAP_BYTES));
      if (blob !== null) new Deno.UnsafePointerView(blob).copyInto(value);
      return value;
    } finally {
      ffi.CredFree(credential);
    }
  }

  async #cmdkey(args: string[]): Promise<ProgramResult> {
    const root = this.#options.env["SystemRoot"];
    try {
      return await (this.#options.run ?? runProgram)(CMDKEY, args, {
        env: root ? { SystemRoot: root } : {},
        timeoutMs: TIMEOUT_MS,
      });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      throw unavailable(unreachable(`${CMDKEY} is not there`), error);
    }
  }

  #ffi(): CredentialFfi {
    return this.#library ??= (this.#options.ffi ?? openAdvapi32)();
  }
}

function openAdvapi32(): CredentialFfi {
  const { symbols } = Deno.dlopen(ADVAPI32, {
    CredWriteW: { parameters: ["buffer", "u32"], result: "i32" },
    CredReadW: { parameters: ["buffer", "u32", "u32", "buffer"], result: "i32" },
    CredFree: { parameters: ["pointer"], result: "void" },
  });
  const kernel = Deno.dlopen(KERNEL32, { GetLastError: { parameters: [], result: "u32" } });
  return { ...symbols, GetLastError: () => kernel.symbols.GetLastError() };
}

/** UTF-16LE with the terminating zero; the names are ASCII. */
function wide(text: string): Bytes {
  const out = new Uint8Array((text.length + 1) * 2);
  for (let i = 0; i < text.length; i++) out[i * 2] = text.charCodeAt(i);
  return out;
}

/** A last-error of 0 means that something overwrote it: unknown, and never "not found". */
function failure(name: string, error: number): SecLlamaError {
  return unavailable(unreachable(
    error === ERROR_NO_SUCH_LOGON_SESSION
      ? "there is no logon session (over SSH the Credential Manager is not there)"
      : error === 0
      ? `${name} failed and gave no reason`
      : `${name} failed with error ${error}`,
  ));
}
