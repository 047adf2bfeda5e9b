/**
 * Model management over the API: off, unless the operator turned it on, and then for this user's clients on loopback only
 * (CVE-2025-63389: peers take it from whoever can reach them). What can fetch from the network is handed in by the command
 * line; nothing in the gateway's own code can.
 */
import type { MiddlewareHandler } from "hono";
import { routeOf } from "../api/routes.ts";
import { MANAGEMENT_HINT } from "../api/texts.ts";
import { SecLlamaError } from "../errors.ts";
import type { ProofEnv } from "./proof.ts";
import { type End, type Ends, isOwnUsers } from "./own_user.ts";
import type { Asking } from "./share.ts";

export interface ModelManagement {
  /** Whether the connection is from this machine and this user. */
  isOwn(peer: End, local: End): boolean;
  /**
   * Pulls into the store, a line of Ollama's for each step.
   * @throws {SecLlamaError} As `pullModel`, and `offline`.
   */
  pull(
    reference: string,
    o: { signal: AbortSignal; onLine: (line: object) => void },
  ): Promise<{ readonly model: { readonly name: string } }>;
  /** Of an uploaded file. */
  readonly maxBytes: number;
}

/** What `app.fetch` is given beside the request: the connection's ends, as the listener saw them. */
export interface ManagementEnv extends ProofEnv {
  Bindings: Ends & Asking;
}

/** Refuses management unless it is on and asked for by one of this user's own programs. */
export function managementGuard(
  management: ModelManagement | undefined,
  remote: boolean,
): MiddlewareHandler<ManagementEnv> {
  return async (c, next) => {
    if (routeOf(c.req.path)?.kind !== "management") return await next();
    if (!management) {
      throw refused("model management over the network is off");
    }
    if (!isOwnUsers(c.env, remote, management.isOwn)) {
      throw refused("model management is for this machine's user only");
    }
    await next();
  };
}

function refused(message: string): SecLlamaError {
  return new SecLlamaError("management-refused", message, { hint: MANAGEMENT_HINT });
}
