/** How fast this machine reads memory: what bounds generation, which reads every weight for each token. */
import { readGgufHeader } from "../src/models/gguf.ts";

const BYTES = 256 * 2 ** 20;
const ROUNDS = 5;

/** Bytes a second that `threads` threads read together: memchr(3) for a byte that is not there, the best round counts. */
export async function readBandwidth(threads: number): Promise<number> {
  const libc = Deno.dlopen("libc.so.6", {
    memchr: { parameters: ["buffer", "i32", "usize"], result: "pointer", nonblocking: true },
  });
  const buffers = Array.from({ length: threads }, () => new Uint8Array(BYTES).fill(1));
  let best = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const started = performance.now();
    await Promise.all(buffers.map((b) => libc.symbols.memchr(b, 0, BigInt(b.length))));
    best = Math.max(best, threads * BYTES / (performance.now() - started) * 1000);
  }
  libc.close();
  return best;
}

/** Bytes of weights that one token reads: all of them, but for an embedding table that is not the output matrix as well. */
export async function bytesPerToken(path: string): Promise<number> {
  const header = await readGgufHeader(path);
  const weights = header.sizeBytes - header.dataOffset;
  const text = new TextDecoder("latin1").decode(await readStart(path, header.dataOffset));
  const untied = text.includes("\x0d\0\0\0\0\0\0\0output.weight");
  const vocabulary = header.arrays.get("tokenizer.ggml.tokens")?.count ?? 0;
  const width = Number(
    header.metadata.get(`${header.metadata.get("general.architecture")}.embedding_length`) ?? 0,
  );
  const embedding = vocabulary * width * weights / header.parameterCount;
  return untied ? weights - embedding : weights;
}

async function readStart(path: string, length: number): Promise<Uint8Array> {
  using file = await Deno.open(path, { read: true });
  const bytes = new Uint8Array(length);
  let at = 0;
  while (at < length) {
    const n = await file.read(bytes.subarray(at));
    if (n === null) break;
    at += n;
  }
  return bytes;
}
