/** Whose share of places and loads a request takes. */

/** Who sends plaintext has no key; a user of this machine is told apart by the kernel's word. */
export const PLAIN_CLIENT = "plain";

/** What the listener knows of a connection, as far as shares go. */
export interface Asking {
  /** A user of this machine, or an address. */
  readonly party?: string;
}

/**
 * The client that a request names, as far as whoever asks under that name is concerned: before the runner has opened it, anybody
 * who knows an id can name it, and must fill nobody's share but their own.
 * @param client A psk id; undefined: one that nobody has, of which anybody can make up as many as they like.
 */
export function shareOf(asking: Asking | undefined, client: string | undefined): string {
  return `${client ?? "stranger"} ${asking?.party ?? ""}`;
}
