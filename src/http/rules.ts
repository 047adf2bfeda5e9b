/** What the listener must know of what it serves. It knows no API of its own: whoever starts it hands this in. */
import type { SecLlamaError } from "../errors.ts";

/** An error answer in the words and shape that the clients of a path read. */
export interface RenderedError {
  /** The HTTP status. */
  readonly status: number;
  /** Names in lower case; nothing about the connection or the length. */
  readonly headers: Readonly<Record<string, string>>;
  /** The whole body. */
  readonly body: string;
}

/** What to do about a request that is refused for where it comes from. */
export interface RefusalHints {
  /** About a Host that is not served. */
  readonly host: string;
  /** About a page of another origin. */
  readonly origin: string;
}

/** The limits and words of the API that a listener serves. */
export interface Rules {
  /** Which setting lets them in; undefined: none does. */
  readonly hints?: Partial<RefusalHints>;
  /** Most bytes of a request's body. */
  maxBodyBytes(method: string, path: string): number;
  /** The refusal of a body of more than `most` bytes. */
  tooLarge(most: number): SecLlamaError;
  /** Why a body with these headers is not taken at `path`; undefined: it is. */
  refusedBody(
    path: string,
    headers: { readonly type: string | null; readonly encoding: string | null },
  ): SecLlamaError | undefined;
  /**
   * An error for a request to `path`: "/" where the request is not understood that far.
   * @param origin Of the page that asked, if pages of it are let in.
   */
  render(error: SecLlamaError, path: string, origin?: string): RenderedError;
}
