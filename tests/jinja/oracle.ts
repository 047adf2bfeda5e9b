/** Debian's Jinja2 as the reference: what it makes of many templates, asked in one go. */

export interface Request {
  readonly template: string;
  readonly variables: Readonly<Record<string, unknown>>;
}

export type Answer =
  & (
    | { readonly text: string; readonly error?: undefined }
    | { readonly error: string; readonly kind: string; readonly message: string }
  )
  & {
    /** What it is without Jinja2's optimiser, where that changes what some templates mean. */
    readonly unfolded?: Answer;
  };

/** What the oracle's clock shows. */
export const NOW = new Date(2026, 2, 4, 15, 6, 7);

const SCRIPT = new URL("./oracle.py", import.meta.url).pathname;

export async function askJinja2(requests: readonly Request[]): Promise<Answer[]> {
  const child = new Deno.Command("/usr/bin/python3", {
    args: ["-W", "ignore", SCRIPT],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const output = new Response(child.stdout).text();
  const writer = child.stdin.getWriter();
  const encoder = new TextEncoder();
  for (const request of requests) {
    await writer.write(encoder.encode(JSON.stringify(request) + "\n"));
  }
  await writer.close();
  const answers = (await output).trimEnd().split("\n").map((line) => JSON.parse(line));
  if (!(await child.status).success || answers.length !== requests.length) {
    throw new Error(`the oracle answered ${answers.length} of ${requests.length}`);
  }
  return answers;
}
