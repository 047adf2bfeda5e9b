/**
 * The bytes of requests that a runner holds, from their opening to their end: a pot that clients share. One that has its share
 * is told that the server is busy; what is under way goes on.
 */
import { SecLlamaError } from "../errors.ts";
import { Pot } from "../shares.ts";

/** Of what requests may hold, what each client may hold whatever others do: a small request. */
const FLOOR_PART = 1 / 256;
/** Of what requests may hold, what is there for small ones only. */
const RESERVED_PART = 1 / 8;

/** The pot of bytes that requests hold, each client its share. @param limit Bytes. */
export function requestBytes(limit: number): Pot {
  return new Pot({ limit, floor: limit * FLOOR_PART, reserve: limit * RESERVED_PART });
}

/** What one request holds of the pot. */
export class HeldBytes {
  readonly #pot: Pot;
  #client: string | undefined;
  #bytes = 0;

  constructor(pot: Pot) {
    this.#pot = pot;
  }

  /** From here on it is known whose the bytes are. @throws {SecLlamaError} As {@link HeldBytes.add}. */
  begin(client: string, bytes: number): void {
    this.#client = client;
    this.add(bytes);
  }

  /** Nothing, before it is known whose they are. @throws {SecLlamaError} `busy` beyond the client's share. */
  add(bytes: number): void {
    if (this.#client === undefined) return;
    if (!this.#pot.take(this.#client, bytes)) {
      throw new SecLlamaError("busy", "the requests that wait are too large together");
    }
    this.#bytes += bytes;
  }

  /** Gives all back. */
  release(): void {
    if (this.#client !== undefined) this.#pot.give(this.#client, this.#bytes);
    this.#bytes = 0;
  }
}
