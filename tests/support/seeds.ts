/** Seeds of generated cases: the same in every run, so that a failure comes again; others by SECLLAMA_SEED. */

/** The seed of a run: what SECLLAMA_SEED names, else 1. */
export const SEED = Number(Deno.env.get("SECLLAMA_SEED") ?? 1);

/** @returns So many, from {@link SEED} on. */
export function seeds(count: number): number[] {
  return Array.from({ length: count }, (_, at) => SEED + at);
}

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
