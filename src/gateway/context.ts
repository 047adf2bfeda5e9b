/** What every route of the gateway answers from, and the one word that it says of its isolation. */
import type { Bytes } from "../bytes.ts";
import type { Config } from "../config/config.ts";
import type { KeyFacts, PairingOffers } from "../keys/mod.ts";
import type { Logger } from "../log.ts";
import type { ModelStore } from "../models/store.ts";
import type { Supervisor } from "../supervisor/supervisor.ts";
import type { GatewayAudit } from "./audit.ts";
import type { ClientLimits } from "./limits.ts";
import type { Activity } from "./activity.ts";
import type { ModelManagement } from "./management.ts";

export interface GatewayContext {
  readonly config: Config;
  readonly supervisor: Supervisor;
  readonly models: ModelStore;
  readonly logger: Logger;
  readonly version: string;
  /** Of the host's keys what may be told. */
  readonly keys: Pick<KeyFacts, "backend" | "active" | "warnings">;
  /** Pairs who knows the words that the host shows; undefined: the key can have no clients. */
  readonly offers?: Pick<PairingOffers, "redeem"> | undefined;
  /** What it remembers of its run. */
  readonly activity: Activity;
  /** Where it records what it serves; undefined: nowhere, as the settings say. */
  readonly audit?: GatewayAudit | undefined;
  /** The host's statement on an exchange; undefined: it keeps no audit log. @throws {SecLlamaError} `not-found`, `audit-failed`. */
  readonly receipts?: ((id: string) => Promise<Bytes>) | undefined;
  /** Of a host of a fleet: the issuer's word for it. */
  readonly fleet?: { readonly member: string | undefined } | undefined;
  /** Why requests would not be answered now, a word each; none: they would. */
  readonly notReady: () => Promise<readonly string[]>;
  /** Keeps roles and limits. */
  readonly limits: ClientLimits;
  /** Whether it can be reached from beyond loopback: what is not sealed then needs a proof. */
  readonly remote: boolean;
  /** Only where the operator turned model management on. */
  readonly management?: ModelManagement | undefined;
}

/** `strict`, `weakened` or `off`: as configured, or worse if a running model measured worse. */
export function isolationWord(context: GatewayContext): string {
  if (!context.config.enableSandbox) return "off";
  const measured = context.supervisor.loaded().map((m) => m.isolation.level);
  if (measured.includes("off")) return "off";
  if (measured.includes("weakened") || !context.config.strictNetworkIsolation) return "weakened";
  return "strict";
}
