/** How a thread that reads a file answers: once, with the text or with what is wrong, in a few words and none of the file's. */
import type { DocumentType } from "../api/documents.ts";
import type { Piece } from "./chunks.ts";

/** To the thread. */
interface Asked {
  readonly type: DocumentType;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** What a file came to. */
export interface Parsed {
  readonly pages: number | null;
  readonly passages: readonly Piece[];
}

/** From the thread. */
export type Said = { readonly parsed: Parsed } | { readonly why: string };

/** Waits for the one question. */
export function answerOnce(parse: (asked: Asked) => Promise<Parsed>): void {
  const thread = self as unknown as {
    onmessage: (event: MessageEvent<Asked>) => void;
    postMessage(said: Said): void;
  };
  thread.onmessage = ({ data }) => {
    parse(data).then(
      (parsed) => thread.postMessage({ parsed }),
      // Only what we wrote ourselves: an error of a library's may quote the file.
      (error) =>
        thread.postMessage({ why: error instanceof RangeError ? error.message : "it is broken" }),
    );
  };
}
