/** The stories model with a chat template and more context: what llama-server adds to a file by its command line. */
import { utf8 } from "../../../src/bytes.ts";

/** Bytes of a GGUF file before its first key. */
const HEAD = 24;
const ALIGNMENT = 32;
const STRING = 8;

/**
 * The file with `tokenizer.chat_template`, which it must not have, and its `llama.context_length` replaced. What is put in
 * is a whole number of alignments long, so that everything behind it stays in its place.
 */
export function withTemplate(
  file: Uint8Array,
  { template, contextLength }: { template: string; contextLength: number },
): Uint8Array<ArrayBuffer> {
  const added = stringPair("tokenizer.chat_template", utf8(template));
  const rest = stringPair("test.padding", new Uint8Array(0)).length;
  const over = (added.length + rest) % ALIGNMENT;
  const padding = stringPair("test.padding", utf8(" ".repeat(over === 0 ? 0 : ALIGNMENT - over)));
  const out = new Uint8Array(file.length + added.length + padding.length);
  out.set(file.subarray(0, HEAD));
  out.set(added, HEAD);
  out.set(padding, HEAD + added.length);
  out.set(file.subarray(HEAD), HEAD + added.length + padding.length);
  const view = new DataView(out.buffer);
  view.setBigUint64(16, view.getBigUint64(16, true) + 2n, true);
  const key = utf8("llama.context_length");
  const at = out.findIndex((_, index) => key.every((byte, n) => out[index + n] === byte));
  // The key, its type (4 bytes), the number.
  view.setUint32(at + key.length + 4, contextLength, true);
  return out;
}

function stringPair(key: string, value: Uint8Array): Uint8Array {
  const name = utf8(key);
  const out = new Uint8Array(8 + name.length + 4 + 8 + value.length);
  const view = new DataView(out.buffer);
  view.setBigUint64(0, BigInt(name.length), true);
  out.set(name, 8);
  view.setUint32(8 + name.length, STRING, true);
  view.setBigUint64(12 + name.length, BigInt(value.length), true);
  out.set(value, 20 + name.length);
  return out;
}
