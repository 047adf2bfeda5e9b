/** The listeners that a runner on this system attacks before it is given any key. */
import { ProbeListeners } from "./linux_listeners.ts";
import { openLoopbackListeners } from "./loopback_listeners.ts";
import type { Listeners } from "./types.ts";

/** Opens them: on Linux, of every kind that a process can reach; elsewhere those that Deno can open. */
export function openListeners(): Listeners | Promise<Listeners> {
  switch (Deno.build.os) {
    case "linux":
      return ProbeListeners.open();
    case "darwin":
      // Where everybody may look, so that only the sandbox stops the runner.
      return openLoopbackListeners({ folder: "/private/tmp" });
    default:
      return openLoopbackListeners();
  }
}
