/**
 * `loading` in an answer of `/api/ps`: the models that the asker waits for, each with how far it has come, in the words of Ollama's
 * `/api/pull`. Ollama has no such field, and its clients pass over it.
 */
import { isSameModel } from "./model_name.ts";

export interface LoadingRow {
  readonly name: string;
  readonly model: string;
  readonly digest: string;
  readonly status: "waiting" | "checking" | "loading";
  /** Bytes of its file. */
  readonly completed: number;
  readonly total: number;
}

/** What `/api/ps` said of one model: its row; whether it is loaded by now; undefined: neither. */
export function loadOf(answer: unknown, model: string): LoadingRow | "loaded" | undefined {
  const { models, loading } = Object(answer) as { models?: unknown; loading?: unknown };
  const find = (rows: unknown) =>
    Array.isArray(rows)
      ? rows.map(Object).find(({ name }) => typeof name === "string" && isSameModel(name, model))
      : undefined;
  const row = find(loading) as LoadingRow | undefined;
  if (row === undefined) return find(models) === undefined ? undefined : "loaded";
  const { status, completed, total } = row;
  const good = ["waiting", "checking", "loading"].includes(status) &&
    [completed, total].every((n) => Number.isSafeInteger(n) && n >= 0) && completed <= total;
  return good ? row : undefined;
}
