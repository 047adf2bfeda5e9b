/// <reference lib="dom" />
/** Printing: of a long conversation the window shows its end, the paper all of it. */
import { createContext, options } from "preact";
import { useEffect, useState } from "preact/hooks";

/** Whether what is drawn is for paper: then nothing of it is cut. */
export const Printing = createContext(false);

/**
 * Whether the browser prints. It changes as soon as the browser is about to, and what depends on it is drawn at once: the browser does
 * not wait.
 */
export function usePrinting(): boolean {
  const [printing, setPrinting] = useState(false);
  useEffect(() => {
    const begin = () => drawNow(() => setPrinting(true));
    const end = () => setPrinting(false);
    addEventListener("beforeprint", begin);
    addEventListener("afterprint", end);
    return () => {
      removeEventListener("beforeprint", begin);
      removeEventListener("afterprint", end);
    };
  }, []);
  return printing;
}

function drawNow(act: () => void): void {
  const { debounceRendering } = options;
  options.debounceRendering = (draw) => draw();
  try {
    act();
  } finally {
    if (debounceRendering) options.debounceRendering = debounceRendering;
    else delete options.debounceRendering;
  }
}
