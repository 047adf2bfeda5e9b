/** Arguments of a program, as the runner sees them. */
import type { Argument } from "./types.ts";

/** `map` says where a host path is for the runner. @throws What `map` throws for a path that the runner is not given. */
export function translate(args: readonly Argument[], map: (path: string) => string): string[] {
  return args.map((arg) => {
    if (typeof arg === "string") return arg;
    return "path" in arg ? map(arg.path) : arg.prefix + arg.paths.map(map).join(",");
  });
}
