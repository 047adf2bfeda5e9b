/** How `secllama key status` shows a report on a terminal. */
import { BACKEND_NAMES } from "../keys/stores/store.ts";
import type { StatusReport } from "../keys/keyset/status.ts";
import type { Tui } from "./tui.ts";
import { plural } from "../plural.ts";

/** Prints `report`, one fact a line; problems and warnings go to standard error. */
export function printStatus(tui: Tui, report: StatusReport): void {
  const yesNo = (value: boolean) => value ? "yes" : "no";
  const row = (name: string, value: string) => tui.out(`${name.padEnd(19)}${value}`);
  row("key store", BACKEND_NAMES[report.backend]);
  if (report.profile !== "default") row("profile", report.profile);
  row("reachable", yesNo(report.reachable));
  row("locked", report.reachable ? yesNo(report.locked) : "unknown");
  row("encrypted at rest", report.encryptedAtRest);
  row("active key", report.active ?? "none");
  if (report.ageDays !== null) row("age", plural(report.ageDays, "day"));
  if (report.generation !== null) {
    row("generation", `${report.generation}${report.verified ? "" : " (not verified)"}`);
  }
  for (const key of report.keys) {
    row(
      key.state,
      `${key.kid}  item ${key.item}  made ${
        key.created.slice(0, 10)
      }  wraps ${key.wraps}  loads ${key.loads}` +
        (key.compromised ? "  compromised" : ""),
    );
  }
  if (report.fallback) row("fallback", "in memory only");
  if (report.pending) {
    row("interrupted change", `${report.pending.op} ${report.pending.kids.join(" ")}`);
  }
  if (report.headBehind) row("head", "one behind; the next change completes it");
  for (const kid of report.orphans ?? []) row("orphan", `${kid}  in the store, not in the keyset`);
  for (const key of report.keys) {
    if (key.item === "left") {
      tui.warn(`${key.kid} is destroyed but still in the store: secllama key delete ${key.kid}`);
    }
  }
  if (report.encryptedAtRest === "no") {
    tui.warn("the keyring has a blank password: it keeps the keys in plaintext on the disk");
  }
  if (report.reminder) tui.warn(report.reminder);
  if (report.problem) {
    tui.note(`error: ${report.problem.message}`);
    if (report.problem.hint) tui.note(`hint: ${report.problem.hint}`);
  }
}
