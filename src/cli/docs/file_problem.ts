/** Why a file of a folder could not be read, in words. */
import { SecLlamaError } from "../../errors.ts";

/** What the system said, as an error for a user; any other error as it is. */
export function fileProblem(error: unknown): unknown {
  if (error instanceof Deno.errors.NotFound) {
    return new SecLlamaError("usage", "it is not there any more, or its name is not in UTF-8", {
      hint: "rename it, and add it again",
      cause: error,
    });
  }
  if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) {
    return new SecLlamaError("usage", "this user may not read it", { cause: error });
  }
  return error;
}
