/** A count and what it counts, as a person writes it: "1 key", "2 keys", "0 keys". */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
