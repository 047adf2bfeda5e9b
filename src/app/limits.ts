/** Roles and limits of `serve`: what was used is in a file from the first client that has a limit. */
import { Limiter, type OtherCounts } from "../firm/limiter.ts";
import { TokenCheck } from "../firm/tokens.ts";
import { UsageFile } from "../firm/usage_file.ts";
import type { GatewayAudit } from "../gateway/audit.ts";
import { type ClientBook, ClientLimits } from "../gateway/limits.ts";
import { label, type Logger } from "../log.ts";
import type { Shutdown } from "./shutdown.ts";

/** Ready to be asked; opens nothing yet. */
export function openLimits(o: {
  readonly dataDir: string;
  readonly book: ClientBook;
  readonly logger: Logger;
  readonly shutdown: Shutdown;
  readonly audit: GatewayAudit | undefined;
  /** Of a host of a fleet: what its clients used at the others. */
  readonly others: OtherCounts | undefined;
}): ClientLimits {
  let limiter: Limiter | undefined;
  return new ClientLimits({
    book: o.book,
    apps: new TokenCheck(o.dataDir),
    limiter() {
      if (limiter !== undefined) return limiter;
      const file = UsageFile.open(o.dataDir, (error) => {
        o.logger.error("usage-not-saved", { cause: label((error as Error)?.name ?? "") });
      });
      o.shutdown.addLast(() => file[Symbol.dispose]());
      return limiter = new Limiter(file, Date.now, o.others);
    },
    onRefused: (code, who) => o.audit?.refused(code, who),
  });
}
