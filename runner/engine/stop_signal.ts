/**
 * A flag that llama.cpp looks at between the parts of a step, so that a step on a prompt can be broken off. Its callback
 * `bool (*)(void *)` may be no JavaScript, as it is called in a native thread: strlen(3) serves, which is 0 for a string that
 * begins with its end. Works for what a processor computes; a GPU's steps are short.
 */
import type { LlamaSymbols } from "./symbols.ts";

/** What `llama_decode` returns for a step that was broken off. */
export const BROKEN_OFF = 2;

export class StopSignal {
  // Native code holds its address; an ArrayBuffer of its own, as V8 may move a small array made without one.
  readonly #text = new Uint8Array(new ArrayBuffer(64));

  /** @param strlen Its address. */
  constructor(llama: LlamaSymbols, context: Deno.PointerValue, strlen: Deno.PointerValue) {
    llama.llama_set_abort_callback(context, strlen, Deno.UnsafePointer.of(this.#text));
  }

  /** Breaks the step in progress off. */
  raise(): void {
    this.#text[0] = 1;
  }

  clear(): void {
    this.#text[0] = 0;
  }
}
