/** The header that says that a prompt was cut to the context: `Secllama-Truncated: prompt=21040, kept=3072`, in tokens. */

export const TRUNCATED_HEADER = "secllama-truncated";

const FORM = /^(?:prompt=(\d{1,9}), )?kept=(\d{1,9})$/;

/** @param cut.prompt Absent: too long to be counted. */
export function writeTruncated(cut: { readonly prompt?: number; readonly kept: number }): string {
  return (cut.prompt === undefined ? "" : `prompt=${cut.prompt}, `) + `kept=${cut.kept}`;
}

/** What the header says; undefined: nothing in its form, as a runner is not trusted to write it. */
export function readTruncated(
  headers: Headers,
): { readonly prompt?: number; readonly kept: number } | undefined {
  const match = FORM.exec(headers.get(TRUNCATED_HEADER) ?? "");
  if (match === null) return undefined;
  const prompt = match[1] === undefined ? {} : { prompt: Number(match[1]) };
  return { ...prompt, kept: Number(match[2]) };
}
