/// <reference lib="dom" />
/** Printing: of a long conversation the window shows its end, the paper all of it. */
import { options } from "preact";

/**
 * Calls `act`, which changes what is drawn, as soon as the browser is about to print, and draws at once: the browser does not wait.
 * Returns how to end that.
 */
export function beforePrint(act: () => void): () => void {
  const now = () => {
    const { debounceRendering } = options;
    options.debounceRendering = (draw) => draw();
    try {
      act();
    } finally {
      if (debounceRendering) options.debounceRendering = debounceRendering;
      else delete options.debounceRendering;
    }
  };
  addEventListener("beforeprint", now);
  return () => removeEventListener("beforeprint", now);
}
