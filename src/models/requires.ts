/** REQUIRES: the version of Ollama that a model was made for. It is kept and shown; nothing here is refused by it. */
import { OLLAMA_API_VERSION } from "../api/texts.ts";

const VERSION =
  /^v?((?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*)){0,2}(?:-[0-9A-Za-z.-]+)?)(?:\+[0-9A-Za-z.-]+)?$/;

/** `v0.14.0` → `0.14.0`; undefined for what is no version. */
export function parseRequires(text: string): string | undefined {
  return text.length > 64 ? undefined : VERSION.exec(text.trim())?.[1];
}

/** Whether a model asks for a newer Ollama than the one whose API ours was compared with. */
export function isNewerThanOurs(version: string, ours: string = OLLAMA_API_VERSION): boolean {
  const numbers = (text: string) => text.split("-")[0]!.split(".").map(Number);
  const [a, b] = [numbers(version), numbers(ours)];
  for (let at = 0; at < 3; at++) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return false;
}
