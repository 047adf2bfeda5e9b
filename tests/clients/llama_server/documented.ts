/** What docs/api.md says of a suite that others wrote. */
import { join } from "node:path";
import { ROOT } from "../../support/serve.ts";

/** The row of this file; undefined: there is none. */
export async function documented(
  file: string,
): Promise<{ cases: number; passed: number; left: string } | undefined> {
  const page = await Deno.readTextFile(join(ROOT, "docs/api.md"));
  for (const line of page.split("\n")) {
    const [, suite, , cases, passed, left] = line.split("|").map((cell) => cell.trim());
    if (suite !== `\`${file}\``) continue;
    return { cases: Number(cases), passed: Number(passed), left: left! };
  }
  return undefined;
}
