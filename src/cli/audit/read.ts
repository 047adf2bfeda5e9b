/** Files that an auditor's commands are given. */
import { PublicKey } from "../../audit/mod.ts";
import { SecLlamaError } from "../../errors.ts";
import { HINTS } from "../../hints.ts";
import { ioError } from "../../keys/keyset/manifest_file.ts";
import { fromPem } from "../../pem.ts";

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

/** @throws {SecLlamaError} `usage` if there is none, or it is over 1 GiB; `key-io`. */
export async function readFileUpTo(path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const { size, isCharDevice } = await Deno.stat(path);
    // Its size is 0, and it may have no end.
    if (isCharDevice) throw new SecLlamaError("usage", `${path} is a device, and no file`);
    if (size > MAX_FILE_BYTES) {
      throw new SecLlamaError("usage", `${path} is over 1 GiB`);
    }
    return await Deno.readFile(path);
  } catch (error) {
    if (error instanceof SecLlamaError) throw error;
    if (error instanceof Deno.errors.NotFound) {
      throw new SecLlamaError("usage", `there is no file ${path}`);
    }
    throw ioError("read", path, error);
  }
}
