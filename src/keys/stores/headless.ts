/**
 * Keys from outside the key store, each named by the user: an open file descriptor, a systemd credential, an environment
 * variable. They are read once; such a keyset has one key, no manifest, and cannot rotate.
 */
import type { Bytes } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import { secret } from "../../secret.ts";
import { alloc, linux, SystemCallError } from "../../linux/libc.ts";
import { decodeKey, VALUE_BYTES } from "../keyset/kid.ts";
import { ioError } from "../keyset/manifest_file.ts";

/** The credential's name: `LoadCredentialEncrypted=secllama-key:/etc/secllama/key.cred`. */
const CREDENTIAL_NAME = "secllama-key";

/** fcntl(2). */
const F_SETFD = 2;
const FD_CLOEXEC = 1;

const HINT = 'a key is one line: "sl1:" and the base64 of 32 random bytes; see secllama help keys';

/** A key and two bytes for its line end. */
const READ_CAP_BYTES = VALUE_BYTES + 2;

/**
 * The key that the file descriptor `fd` holds: `sl1:` and 44 base64 digits, read to its end. The caller zeroes it.
 * @throws {SecLlamaError} `usage` if `fd` is not open or cannot be read, `key-corrupt` if it holds something else.
 */
export async function keyFromDescriptor(fd: number): Promise<Bytes> {
  using value = secret(await readDescriptor(fd, READ_CAP_BYTES, "--key-fd"));
  return decodeKey(value, `file descriptor ${fd}`, HINT);
}

/** Everything that can be read from `fd`, at most `capBytes` + 1 bytes. @throws {SecLlamaError} `usage`. */
export async function readDescriptor(fd: number, capBytes: number, option: string): Promise<Bytes> {
  if (!Number.isInteger(fd) || fd < 0 || fd > 1_023) {
    throw new SecLlamaError("usage", `${option} must be the number of an open file descriptor`, {
      field: option,
    });
  }
  try {
    return Deno.build.os === "linux"
      ? readOpenDescriptor(fd, capBytes)
      : await readUpTo(`/dev/fd/${fd}`, capBytes);
  } catch (cause) {
    throw new SecLlamaError("usage", `${option}: file descriptor ${fd} cannot be read`, {
      hint: `open it for reading, for instance: secllama serve ${option} ${fd} ${fd}<FILE`,
      field: option,
      cause,
    });
  }
}

/**
 * The key that systemd put into `directory` ($CREDENTIALS_DIRECTORY), or undefined if there is no credential of our name.
 * @throws {SecLlamaError} `key-corrupt` if it holds something else, `key-io` if it cannot be read.
 */
export async function keyFromCredential(directory: string): Promise<Bytes | undefined> {
  const path = `${directory}/${CREDENTIAL_NAME}`;
  let value: Bytes;
  try {
    value = await readUpTo(path, READ_CAP_BYTES);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw ioError("read", path, error);
  }
  using _wiped = secret(value);
  return decodeKey(value, `the credential ${CREDENTIAL_NAME}`, HINT);
}

/** The key in `SECLLAMA_KEY`. @throws {SecLlamaError} `key-corrupt` if it is none. */
export function keyFromEnvironment(text: string): Bytes {
  using value = secret(new TextEncoder().encode(text));
  return decodeKey(value, "SECLLAMA_KEY", HINT);
}

/**
 * read(2) itself: with less than all permissions Deno opens /dev/fd/N where it is a pipe and refuses it where it is a file.
 * Blocks this thread until the descriptor ends.
 */
function readOpenDescriptor(fd: number, capBytes: number): Bytes {
  using buffer = secret(alloc(capBytes + 1));
  // The user's shell opened it inheritable: without this every child could read a key file again.
  linux().call("fcntl", fd, F_SETFD, FD_CLOEXEC);
  let length = 0;
  while (length < buffer.length) {
    const n = linux().call("read", fd, buffer.subarray(length), buffer.length - length);
    if (n < 0) throw new SystemCallError(`read descriptor ${fd}`, -n);
    if (n === 0) break;
    length += n;
  }
  return buffer.slice(0, length);
}

async function readUpTo(path: string, capBytes: number): Promise<Bytes> {
  using file = await Deno.open(path);
  using buffer = secret(new Uint8Array(capBytes + 1));
  let length = 0;
  while (length < buffer.length) {
    const n = await file.read(buffer.subarray(length));
    if (n === null || n === 0) break;
    length += n;
  }
  return buffer.slice(0, length);
}
