/** Counts in words. `tests/house_test.ts` finds a text that names what it counts without it. */

/** A count and what it counts, as a person writes it: "1 key", "2 keys", "0 keys". @param many Of a word that takes more than an s. */
export function plural(count: number, noun: string, many = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : many}`;
}
