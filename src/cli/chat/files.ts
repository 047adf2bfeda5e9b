/** Files that a prompt brings along: text into the message, pictures beside it. */
import { Buffer } from "node:buffer";
import { SecLlamaError } from "../../errors.ts";

/** More is no text for a prompt: the longest contexts hold some 4 MB of it. */
const MAX_TEXT_BYTES = 16 * 2 ** 20;
const MAX_IMAGE_BYTES = 32 * 2 ** 20;

/**
 * A text file as a part of a message, its name before it.
 * @throws {SecLlamaError} `usage` if it cannot be read or is no text.
 */
export async function textFile(path: string): Promise<string> {
  const bytes = await readWhole(path, MAX_TEXT_BYTES);
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    if (!text.includes("\0")) return `${path}:\n${text.trimEnd()}`;
  } catch { /* said below */ }
  throw new SecLlamaError("usage", `${path} is not a text file in UTF-8`, {
    hint: "a picture is given with --image",
  });
}

/**
 * A picture in base64, as Ollama's API takes it. What it is, the model's runner decides.
 * @throws {SecLlamaError} `usage` if it cannot be read.
 */
export async function imageFile(path: string): Promise<string> {
  return Buffer.from(await readWhole(path, MAX_IMAGE_BYTES)).toString("base64");
}

const PICTURE = /\.(?:png|jpe?g|webp|gif|bmp)$/i;

/** Words of a prompt that are files with a picture's ending. Ollama takes such a file along; here a file is named as one. */
export async function picturesNamedIn(prompt: string): Promise<string[]> {
  const found: string[] = [];
  const words = prompt.split(/\s+/).map((word) => word.replace(/^["'(]+|["'),.;:?!]+$/g, ""));
  for (const path of new Set(words)) {
    if (!PICTURE.test(path)) continue;
    if (await Deno.stat(path).then(({ isFile }) => isFile, () => false)) found.push(path);
  }
  return found;
}

async function readWhole(path: string, most: number): Promise<Uint8Array> {
  try {
    const { isFile, size } = await Deno.stat(path);
    if (!isFile) throw new SecLlamaError("usage", `${path} is not a file`);
    if (size > most) {
      throw new SecLlamaError(
        "usage",
        `${path} has ${size} bytes, and at most ${most} can be part of a message`,
      );
    }
    return await Deno.readFile(path);
  } catch (cause) {
    if (cause instanceof SecLlamaError) throw cause;
    const missing = cause instanceof Deno.errors.NotFound;
    throw new SecLlamaError(
      "usage",
      missing ? `there is no file ${path}` : `${path} cannot be read`,
      {
        cause,
      },
    );
  }
}
