/** What a restore takes the place of, in words: read from the files as they lie there, checked by nothing. */
import { join } from "node:path";
import { AuditDatabase } from "../audit/mod.ts";
import { plural } from "../plural.ts";

/** What a data folder has, as far as somebody cares who replaces it. */
interface Summary {
  readonly gen: number;
  readonly clients: readonly Named[];
  readonly tokens: readonly Named[];
  /** Lines of the audit log; undefined: there is none. */
  readonly lines: number | undefined;
}

interface Named {
  readonly id: string;
  readonly name: string;
  readonly revoked: string | null;
}

/** Reads it. What cannot be read counts as not there. */
export async function summaryOf(folder: string): Promise<Summary> {
  const json = async (name: string) => {
    try {
      return JSON.parse(await Deno.readTextFile(join(folder, name)));
    } catch {
      return undefined;
    }
  };
  const [keyset, clients, tokens] = await Promise.all(
    ["keyset.json", "clients.json", "tokens.json"].map(json),
  );
  return {
    gen: Number(keyset?.gen ?? 0),
    clients: named(clients?.clients),
    tokens: named(tokens?.tokens),
    lines: linesOf(folder),
  };
}

/** One line for each thing that changes. @param here What is there now. @param there What the backup has. */
export function differences(here: Summary, there: Summary): string[] {
  const said: string[] = [];
  if (here.gen !== there.gen) {
    said.push(`keys: generation ${here.gen} here, ${there.gen} in the backup`);
    if (here.gen > there.gen) {
      said.push("clients that took up a newer key since must be paired again");
    }
  }
  for (const kind of ["clients", "tokens"] as const) {
    const [old, back] = [here[kind], there[kind]];
    const gone = old.filter(({ id }) => !back.some((one) => one.id === id));
    const alive = back.filter(({ revoked }) => revoked === null);
    const again = alive.filter(({ id }) => old.find((one) => one.id === id)?.revoked != null);
    if (gone.length > 0) said.push(`${kind} that are not in the backup: ${names(gone)}`);
    if (again.length > 0) {
      said.push(`${kind} that were revoked here and come back: ${names(again)}`);
    }
  }
  if (here.lines !== undefined) {
    said.push(`audit log: ${plural(here.lines, "line")} here, ${there.lines ?? 0} in the backup`);
  }
  return said;
}

function named(list: unknown): Named[] {
  return (Array.isArray(list) ? list : []).map(({ id, name, revoked }) => ({
    id: String(id),
    name: String(name),
    revoked: revoked ?? null,
  }));
}

function names(list: readonly Named[]): string {
  const some = list.slice(0, 10).map(({ name }) => name).join(", ");
  return list.length > 10 ? `${some} and ${list.length - 10} more` : some;
}

function linesOf(folder: string): number | undefined {
  try {
    using db = AuditDatabase.read(folder);
    return db?.size();
  } catch {
    return undefined;
  }
}
