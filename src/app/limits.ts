/** Roles and limits of `serve`: what was used is in a file from the first client that has a limit. */
import { type SecLlamaError, toSecLlamaError } from "../errors.ts";
import { Limiter, type OtherCounts } from "../firm/limiter.ts";
import { TokenCheck } from "../firm/tokens.ts";
import { UsageFile } from "../firm/usage_file.ts";
import type { GatewayAudit } from "../gateway/audit.ts";
import { type ClientBook, ClientLimits } from "../gateway/limits.ts";
import { type Logger, sentence } from "../log.ts";
import type { Shutdown } from "./shutdown.ts";

/** Who has which limits, as `serve` keeps them. */
export interface ServeLimits {
  /** For the gateway. */
  readonly limits: ClientLimits;
  /** That each client can be told from others. @throws {SecLlamaError} `key-corrupt`, `key-io`. */
  checkClients(): void;
  /** That what they used can be counted, where a role sets an amount. @throws {SecLlamaError} `limits-failed`. */
  checkCounts(): void;
}

/** Ready to be asked; opens nothing yet. */
export function openLimits(o: {
  readonly dataDir: string;
  readonly book: ClientBook & {
    /** Whether a role sets an amount. */
    readonly hasAmounts: boolean;
    /** Why the list of clients and roles did not verify; undefined: it did. */
    readonly problem: SecLlamaError | undefined;
  };
  readonly logger: Logger;
  readonly shutdown: Shutdown;
  readonly audit: GatewayAudit | undefined;
  /** Of a host of a fleet: what its clients used at the others. */
  readonly others: OtherCounts | undefined;
}): ServeLimits {
  let opened: { readonly file: UsageFile; readonly limiter: Limiter } | undefined;
  const open = () => {
    if (opened !== undefined) return opened;
    const file = UsageFile.open(o.dataDir, (error) => {
      const { message } = toSecLlamaError(error);
      o.logger.error("usage-not-saved", { why: sentence(message) });
    });
    o.shutdown.addLast(() => file[Symbol.dispose]());
    return opened = { file, limiter: new Limiter(file, Date.now, o.others) };
  };
  const apps = new TokenCheck(o.dataDir);
  const limits = new ClientLimits({
    book: o.book,
    apps,
    limiter: () => open().limiter,
    onRefused: (code, who) => o.audit?.refused(code, who),
  });
  return {
    limits,
    checkClients() {
      if (o.book.problem !== undefined) throw o.book.problem;
      apps.check();
    },
    checkCounts() {
      if (o.book.hasAmounts) open().file.check();
    },
  };
}
