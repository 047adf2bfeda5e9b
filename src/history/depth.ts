/** How deep what a program or a file gives may be nested: who writes it out looks at each level from all levels below it. */

/** Twice what a request to a model may have. */
export const MOST_DEEP = 256;

/** Whether a value of JSON has more levels than {@link MOST_DEEP}. However deep it is, nothing is called that often. */
export function isTooDeep(value: unknown): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; depth <= MOST_DEEP; depth++) {
    const next: unknown[] = [];
    for (const one of level) {
      if (typeof one !== "object" || one === null) continue;
      for (const inner of Object.values(one)) {
        if (typeof inner === "object" && inner !== null) next.push(inner);
      }
    }
    if (next.length === 0) return false;
    level = next;
  }
  return true;
}
