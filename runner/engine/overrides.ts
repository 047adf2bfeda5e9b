/** Numbers that llama.cpp takes in place of those of the file: `llama_model_kv_override`, a table that ends with an empty key. */
import type { EngineOptions } from "./types.ts";

/** `enum tag` | `char key[128]` | padding | a union of 128 bytes */
const ENTRY_BYTES = 264;
const KEY_AT = 4;
const KEY_BYTES = 128;
const VALUE_AT = 136;
/** `enum llama_model_kv_override_type` */
const TAG = { int: 0, float: 1 } as const;

/** Undefined: there are none. Read while the model is loaded, and not after. */
export function overrideTable(
  numbers: NonNullable<EngineOptions["retyped"]>,
): Uint8Array<ArrayBuffer> | undefined {
  if (numbers.length === 0) return undefined;
  const table = new Uint8Array((numbers.length + 1) * ENTRY_BYTES);
  const view = new DataView(table.buffer);
  for (const [at, { key, kind, value }] of numbers.entries()) {
    const start = at * ENTRY_BYTES;
    view.setInt32(start, TAG[kind], true);
    new TextEncoder().encodeInto(
      key,
      table.subarray(start + KEY_AT, start + KEY_AT + KEY_BYTES - 1),
    );
    if (kind === "int") view.setBigInt64(start + VALUE_AT, BigInt(value), true);
    else view.setFloat64(start + VALUE_AT, value, true);
  }
  return table;
}
