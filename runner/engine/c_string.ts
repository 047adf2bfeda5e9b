/** C strings: bytes up to a NUL. */

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** UTF-8 with a NUL behind it. A NUL within ends it earlier, for whoever reads it. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text + "\0");
}

/** Text at the pointer, "" for NULL; bytes that are no UTF-8 become U+FFFD. */
export function readCString(pointer: Deno.PointerValue): string {
  if (pointer === null) return "";
  const view = new Deno.UnsafePointerView(pointer);
  let length = 0;
  while (view.getUint8(length) !== 0) length++;
  if (length === 0) return "";
  return decoder.decode(new Uint8Array(view.getArrayBuffer(length)).slice());
}
