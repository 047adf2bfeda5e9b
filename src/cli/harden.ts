/** The first thing that gateway and proxy do: no other process of this user can trace them or read their memory. */
import { SecLlamaError } from "../errors.ts";
import { hardenProcess } from "../linux/harden.ts";
import { linux } from "../linux/libc.ts";

/** @throws {SecLlamaError} `sandbox-failed` if it could not be done: going on would be weaker in silence. */
export function hardenSelf(): void {
  if (Deno.build.os !== "linux") return;
  const { errors } = hardenProcess(linux());
  if (errors.length > 0) {
    throw new SecLlamaError(
      "sandbox-failed",
      `this process could not be hardened: ${errors.join("; ")}`,
    );
  }
}
