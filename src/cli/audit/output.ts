/** Rows of text to a new file, or to standard output. */
import { SecLlamaError } from "../../errors.ts";
import { HINTS } from "../../hints.ts";
import { ioError } from "../../keys/keyset/manifest_file.ts";

/** Bytes that are written at once. */
const CHUNK = 1 << 18;

/**
 * Writes each row and its end of line to a file that must not exist yet, or for `-` by `print`. Returns how many.
 * @throws {SecLlamaError} `usage` if the file exists, `key-io` if it cannot be written: then nothing is left of it.
 */
export async function writeRows(
  path: string,
  rows: Iterable<string>,
  print: (text: string) => void,
): Promise<number> {
  const encoder = new TextEncoder();
  let file: Deno.FsFile | undefined;
  try {
    file = path === "-"
      ? undefined
      : await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) {
      throw new SecLlamaError("usage", `${path} exists already`, {
        hint: HINTS.newFile,
      });
    }
    throw ioError("write", path, error);
  }
  const writer = file?.writable.getWriter();
  const write = (text: string) =>
    writer === undefined ? print(text) : writer.write(encoder.encode(text));
  try {
    let count = 0;
    let text = "";
    for (const row of rows) {
      text += row + "\n";
      count++;
      if (text.length < CHUNK) continue;
      await write(text);
      text = "";
    }
    if (text !== "") await write(text);
    await writer?.close();
    return count;
  } catch (error) {
    if (file !== undefined) await Deno.remove(path).catch(() => {});
    throw error instanceof SecLlamaError ? error : ioError("write", path, error);
  }
}
