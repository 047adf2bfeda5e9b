/** Words as a language has them: few are frequent, many rare (Zipf). The same ones at each run. */
export function vocabulary(size: number): () => string {
  let seed = 7;
  const random = () => (seed = Math.imul(seed, 48271) >>> 0 & 0x7fffffff) / 0x7fffffff;
  const letters = "etaoinshrdlucmfwypvbgk";
  const words = Array.from({ length: size }, () =>
    Array.from(
      { length: 2 + Math.floor(random() * 8) },
      () => letters[Math.floor(random() ** 1.6 * letters.length)],
    ).join(""));
  return () => words[Math.floor(size ** random()) - 1]!;
}

/** Texts of so many of them. */
export function textsOf(size: number): (words: number) => string {
  const word = vocabulary(size);
  return (words) => Array.from({ length: words }, word).join(" ");
}
