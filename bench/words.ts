/** Words that no tokenizer knows whole: each model of random weights makes some four tokens of one. */
export function words(count: number, seed: number): string {
  let state = seed;
  return Array.from({ length: count }, () => {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return `${"bcdfghklmnprst"[state % 14]}${"aeiou"[state % 5]}${"lmnrst"[state % 6]}`;
  }).join(" ");
}
