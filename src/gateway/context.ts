/** What every route of the gateway answers from, and the one word that it says of its isolation. */
import type { Bytes } from "../bytes.ts";
import type { Config } from "../config/config.ts";
import type { KeyFacts, PairingOffers } from "../keys/mod.ts";
import type { Logger } from "../log.ts";
import type { ModelStore } from "../models/store.ts";
import type { Supervisor } from "../supervisor/supervisor.ts";
import type { GatewayAudit } from "./audit.ts";
import type { ClientLimits } from "./limits.ts";
import type { Doctor } from "./routes/doctor.ts";
import type { SignIn } from "./routes/sign_in.ts";
import type { Activity } from "./activity.ts";
import type { ModelManagement } from "./management.ts";

/** What a host of a fleet knows of it. */
export interface FleetPart {
  /** What balancers know this host by; empty: by nothing. */
  readonly label: string;
  /** The issuer's word for this host; undefined: its time is over. */
  readonly member: string | undefined;
  /** Which host, `<label>.<hid>`, is to be asked for this model by this psk_id's holder; undefined: no other one has it. */
  readonly place: (o: {
    readonly client: string;
    readonly model: string;
    /** A host that was not reached, its id in hexadecimal. */
    readonly without?: string;
    /** Whether this host may be it. */
    readonly here: boolean;
  }) => string | undefined;
  /** Whether a paired client, by its id, is the fleet's and not this host's own. */
  readonly hasClient: (id: string) => boolean;
  /** What the other hosts have, as rows of `/api/tags` and `/api/ps`. */
  readonly others: () => readonly {
    readonly label: string;
    readonly models: readonly { readonly name: string }[];
    readonly loaded: readonly { readonly name: string }[];
  }[];
}

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
  /** Lets people in; undefined: no identity provider is configured. */
  readonly signIn?: SignIn | undefined;
  /** What it remembers of its run. */
  readonly activity: Activity;
  /** Where it records what it serves; undefined: nowhere, as the settings say. */
  readonly audit?: GatewayAudit | undefined;
  /** The host's statement on an exchange; undefined: it keeps no audit log. @throws {SecLlamaError} `not-found`, `audit-failed`. */
  readonly receipts?: ((id: string) => Promise<Bytes>) | undefined;
  /** Of a host of a fleet. */
  readonly fleet?: FleetPart | undefined;
  /** Why requests would not be answered now, a word each; none: they would. */
  readonly notReady: () => Promise<readonly string[]>;
  /** Keeps roles and limits. */
  readonly limits: ClientLimits;
  /** Whether it can be reached from beyond loopback: what is not sealed then needs a proof. */
  readonly remote: boolean;
  /** Runs `secllama doctor` on this host, for its own user; undefined: it cannot be run from here. */
  readonly doctor?: Doctor | undefined;
  /** Only where the operator turned model management on. */
  readonly management?: ModelManagement | undefined;
}

/** What balancers know this host by; empty: by nothing. */
export function labelOf({ fleet, config }: Pick<GatewayContext, "fleet" | "config">): string {
  return fleet?.label ?? config.hostLabel;
}

/** `strict`, `engine`, `weakened` or `off`: as configured, or worse if a running model measured worse. */
export function isolationWord(context: GatewayContext): string {
  if (!context.config.enableSandbox) return "off";
  const measured = context.supervisor.loaded().map((m) => m.isolation.level);
  if (measured.includes("off")) return "off";
  if (measured.includes("weakened") || !context.config.strictNetworkIsolation) return "weakened";
  // What the operator named computes some models, whether one of them is loaded or not.
  return context.config.engine === "none" ? "strict" : "engine";
}
