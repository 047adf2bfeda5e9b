/**
 * A fake at the FFI boundary of the Windows Credential Manager: not Windows, but the same four functions over the same
 * 80-byte struct and real pointers, with their error codes. It also stands in for cmdkey, which shares its items.
 */
import { type Bytes, utf8 } from "../../bytes.ts";
import type { ProgramOptions, ProgramResult } from "./program.ts";
import { CREDENTIAL, type CredentialFfi } from "./windows.ts";

export class FakeAdvapi32 implements CredentialFfi {
  readonly items = new Map<string, Bytes>();
  readonly seen: string[] = [];
  lastError = 0;
  /** Fails every call with this last-error; 0 is what a clobbered one looks like. */
  broken: number | undefined;
  freed = 0;
  /** Keeps what CredReadW returned alive until CredFree. */
  readonly #alive = new Map<bigint, unknown>();

  CredWriteW(credential: BufferSource): number {
    if (this.broken !== undefined) return this.#fail(this.broken);
    const view = viewOf(credential);
    const target = readWide(view.getBigUint64(CREDENTIAL.target, true));
    const size = view.getUint32(CREDENTIAL.blobSize, true);
    if (view.getUint32(CREDENTIAL.type, true) !== 1 || size > 2_560) return this.#fail(87);
    const blob = new Uint8Array(size);
    const pointer = Deno.UnsafePointer.create(view.getBigUint64(CREDENTIAL.blob, true));
    if (size > 0) new Deno.UnsafePointerView(pointer!).copyInto(blob);
    this.items.set(target, blob);
    return 1;
  }

  CredReadW(target: BufferSource, type: number, _flags: number, out: BufferSource): number {
    if (this.broken !== undefined) return this.#fail(this.broken);
    const blob = this.items.get(readWide(address(target as Bytes)));
    if (blob === undefined || type !== 1) return this.#fail(1168);
    const copy = blob.slice();
    const struct = new Uint8Array(CREDENTIAL.size);
    const view = new DataView(struct.buffer);
    view.setUint32(CREDENTIAL.type, 1, true);
    view.setUint32(CREDENTIAL.blobSize, copy.length, true);
    view.setBigUint64(CREDENTIAL.blob, copy.length === 0 ? 0n : address(copy), true);
    const at = address(struct);
    this.#alive.set(at, [struct, copy]);
    viewOf(out).setBigUint64(0, at, true);
    return 1;
  }

  CredFree(credential: Deno.PointerObject): void {
    this.freed++;
    if (!this.#alive.delete(Deno.UnsafePointer.value(credential))) throw new Error("freed twice");
  }

  GetLastError(): number {
    return this.lastError;
  }

  readonly cmdkey = (
    _path: string,
    args: readonly string[],
    options: ProgramOptions,
  ): Promise<ProgramResult> => {
    this.seen.push(JSON.stringify([args, options.env]));
    let text = "\r\nAktuell gespeicherte Anmeldeinformationen:\r\n\r\n";
    const name = /^\/delete:(.*)$/.exec(args[0]!)?.[1];
    if (name !== undefined) this.items.delete(name);
    else {
      for (const target of this.items.keys()) {
        text += `    Ziel: LegacyGeneric:target=${target}\r\n    Typ: Generisch\r\n\r\n`;
      }
    }
    return Promise.resolve({ code: 0, timedOut: false, stdout: utf8(text), stderr: "" });
  };

  #fail(error: number): 0 {
    this.lastError = error;
    return 0;
  }
}

function viewOf(source: BufferSource): DataView {
  return ArrayBuffer.isView(source)
    ? new DataView(source.buffer, source.byteOffset, source.byteLength)
    : new DataView(source);
}

function address(bytes: Bytes): bigint {
  void bytes.buffer; // moves a small array off V8's heap
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes));
}

function readWide(at: bigint): string {
  const view = new Deno.UnsafePointerView(Deno.UnsafePointer.create(at)!);
  let text = "";
  for (let i = 0;; i += 2) {
    const unit = view.getUint16(i);
    if (unit === 0) return text;
    text += String.fromCharCode(unit);
  }
}
