/** What a pull tells: Ollama's lines, for scripts and over the API, and not more often than anybody reads. */
import type { PullEvent } from "./pull.ts";

/** A line of `/api/pull`. */
type PullLine =
  | { readonly status: string }
  | {
    readonly status: string;
    readonly digest: string;
    readonly total: number;
    readonly completed: number;
  };

/** An event in the shape that Ollama's clients read. */
export function pullLine(event: PullEvent): PullLine {
  if (event.status !== "pulling") return { status: event.status };
  return {
    status: `pulling ${event.digest.slice("sha256:".length, "sha256:".length + 12)}`,
    digest: event.digest,
    total: event.totalBytes,
    completed: event.doneBytes,
  };
}

/** Passes on at most one event of a file in `intervalMs`, besides its first and its last. */
export function throttled(
  onEvent: (event: PullEvent) => void,
  intervalMs = 100,
): (event: PullEvent) => void {
  let digest = "";
  let last = 0;
  return (event) => {
    if (event.status === "pulling" && event.digest === digest) {
      const now = performance.now();
      if (event.doneBytes < event.totalBytes && now - last < intervalMs) return;
      last = now;
    } else if (event.status === "pulling") {
      digest = event.digest;
      last = performance.now();
    }
    onEvent(event);
  };
}
