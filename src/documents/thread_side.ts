/** How a thread that reads a file answers: once, with the text or with what is wrong, in a few words and none of the file's. */
import type { DocumentType } from "../api/documents.ts";
import type { Piece } from "./chunks.ts";

/** To the thread. */
interface Asked {
  readonly type: DocumentType;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Its pages are wanted, not passages of them. */
  readonly whole: boolean;
}

/** What a file came to. */
export interface Parsed {
  readonly pages: number | null;
  readonly passages: readonly Piece[];
}

/** To the thread that takes out pages. */
export interface ScanAsked {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** From 1. */
  readonly first: number;
  readonly most: number;
}

/** Pages of a PDF that are pictures. */
export interface ScannedPages {
  /** Of the whole file. */
  readonly total: number;
  /** Where to go on; null: there are no more. */
  readonly next: number | null;
  /** Pages with a picture that is packed in a way that is not read. */
  readonly unread: number;
  readonly pages: readonly { readonly page: number; readonly png: Uint8Array<ArrayBuffer> }[];
}

/** From the thread. */
export type Said<T> = { readonly parsed: T } | { readonly why: string };

/** Waits for the one question. */
export function answerOnce<Q = Asked, A = Parsed>(parse: (asked: Q) => Promise<A>): void {
  const thread = self as unknown as {
    onmessage: (event: MessageEvent<Q>) => void;
    postMessage(said: Said<A>): void;
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
