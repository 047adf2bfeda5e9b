/** How long a newcomer waited. It is printed and never asserted: a machine that is busy has done nothing wrong. */

/** @param ms From the first key of the first command to the whole first answer; the typing itself is not counted. */
export function tellWait(who: string, ms: number): void {
  console.log(
    `journey of ${who}: ${(ms / 1000).toFixed(1)} s from the first key to the first answer`,
  );
}

/** Takes lines `waited MS` out of what a script printed. */
export function takeWaits(text: string): { lines: string[]; waits: number[] } {
  const all = text.trim().split("\n");
  const waits = all.flatMap((line) => /^waited (\d+)$/.exec(line)?.[1] ?? []).map(Number);
  return { lines: all.filter((line) => !/^waited \d+$/.test(line)), waits };
}
