/**
 * Asks over HTTP from inside a namespace and tells in JSON what came of it.
 *
 *     ask_main.ts URL [--until-cut] [--ca FILE] [--accept TYPE] [--body JSON]        the body may come on standard input as well
 *
 * Prints `{status, text, failed}`. With `--until-cut` it says `first` when the first bytes have come, asks again and again,
 * three at a time, until it is refused or cut off, and prints what a reply that was cut off had come to.
 */
import { HANG_MS } from "../support/patience.ts";

interface Outcome {
  status: number;
  text: string;
  failed: string;
}

const [url, ...rest] = Deno.args;
const option = (name: string) => rest.includes(name) ? rest[rest.indexOf(name) + 1] : undefined;
const untilCut = rest.includes("--until-cut");
const body = option("--body") ?? await new Response(Deno.stdin.readable).text();
const ca = option("--ca");
const accept = option("--accept");
const client = ca && Deno.createHttpClient({ caCerts: [Deno.readTextFileSync(ca)] });
let first = true;

async function ask(): Promise<Outcome> {
  const outcome = { status: 0, text: "", failed: "" };
  try {
    const response = await fetch(url!, {
      ...(body === "" ? {} : { method: "POST", body }),
      headers: {
        ...(body === "" ? {} : { "content-type": "application/json" }),
        ...(accept === undefined ? {} : { accept }),
      },
      ...(client ? { client } : {}),
      signal: AbortSignal.timeout(HANG_MS),
    });
    outcome.status = response.status;
    for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
      if (first && untilCut) console.log("first");
      first = false;
      outcome.text += piece;
    }
  } catch (error) {
    const { message, cause } = error as Error;
    outcome.failed = `${message} ${(cause as Error | undefined)?.message ?? ""}`;
  }
  return outcome;
}

async function askUntilRefused(): Promise<Outcome> {
  for (;;) {
    const outcome = await ask();
    if (outcome.status !== 200 || outcome.failed !== "") return outcome;
  }
}

if (untilCut) {
  const all = await Promise.all([1, 2, 3].map(askUntilRefused));
  console.log(JSON.stringify(all.find((o) => o.status === 200) ?? all[0]));
} else console.log(JSON.stringify(await ask()));
Deno.exit(0);
