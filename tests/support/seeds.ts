/** Seeds of generated cases: the same in every run, so that a failure comes again; others by SECLLAMA_SEED. */

/** @returns So many, from the number that SECLLAMA_SEED names, else from 1. */
export function seeds(count: number): number[] {
  const first = Number(Deno.env.get("SECLLAMA_SEED") ?? 1);
  return Array.from({ length: count }, (_, at) => first + at);
}
