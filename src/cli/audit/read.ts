/** Files that an auditor's commands are given. */
import { PublicKey } from "../../audit/mod.ts";
import type { Bytes } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import { HINTS } from "../../hints.ts";
import { ioError } from "../../keys/keyset/manifest_file.ts";
import { fromPem } from "../../pem.ts";
import { readUpTo } from "../../read_up_to.ts";

/** An export of some million lines is below this. */
const MAX_FILE_BYTES = 1 << 30;

/** The public key in a file; undefined: none was named. @throws {SecLlamaError} `usage`, `key-io`. */
export async function readPublicKey(path: string | undefined): Promise<PublicKey | undefined> {
  if (path === undefined) return undefined;
  try {
    const text = new TextDecoder().decode(await readFileUpTo(path));
    return PublicKey.fromSpki(fromPem("PUBLIC KEY", text));
  } catch (error) {
    if (error instanceof SecLlamaError) throw error;
    throw new SecLlamaError("usage", `${path} is no Ed25519 public key in PEM`, {
      field: "--key",
      hint: HINTS.auditKey,
    });
  }
}

/** A file, or what comes through a pipe. @throws {SecLlamaError} `usage` if there is none, or it is over `most`; `key-io`. */
export async function readFileUpTo(path: string, most = MAX_FILE_BYTES): Promise<Bytes> {
  const tooLong = () => new SecLlamaError("usage", `${path} is over ${most / 2 ** 20} MiB`);
  try {
    const { size, isCharDevice } = await Deno.stat(path);
    if (isCharDevice) throw new SecLlamaError("usage", `${path} is a device, and no file`);
    if (size > most) throw tooLong();
    const bytes = await readUpTo(path, most);
    if (bytes.length > most) throw tooLong();
    return bytes;
  } catch (error) {
    if (error instanceof SecLlamaError) throw error;
    if (error instanceof Deno.errors.NotFound) {
      throw new SecLlamaError("usage", `there is no file ${path}`);
    }
    throw ioError("read", path, error);
  }
}
