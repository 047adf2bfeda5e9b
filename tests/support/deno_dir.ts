/** Deno's cache of whoever runs the tests. */
import { join } from "node:path";

/** Where it is: a program that is given it neither fetches nor compiles again what is there. */
export function denoDir(): string {
  return Deno.env.get("DENO_DIR") || join(Deno.env.get("HOME") ?? "/root", ".cache/deno");
}
