/**
 * Clients of a fleet, as a program that runs on a machine of its own: `storm_clients.ts CLIENTS CANARY`, the pairing on
 * standard input. Each asks one request after the other until it is told to end, and then says how many were answered.
 */
import assert from "node:assert/strict";
import { sealedFetch } from "../../src/client/library.ts";

/** What it prints, a line each time that it has changed. */
export interface StormCount {
  begun: number;
  answered: number;
  /** Cut, and said so. */
  truncated: number;
  /** What was neither. */
  failed: string[];
}

/** So many failures end it. */
const MAX_FAILED = 5;

async function ask(
  client: Awaited<ReturnType<typeof sealedFetch>>,
  canary: string,
  count: StormCount,
) {
  const n = ++count.begun;
  const answer = await client("/api/generate", {
    method: "POST",
    body: JSON.stringify({
      ...{ model: "demo", prompt: `${canary} ${n}: What is a sandbox?` },
      options: { num_predict: 4, temperature: 0 },
    }),
  });
  assert.equal(answer.status, 200);
  let text = "";
  try {
    for await (const part of answer.body!.pipeThrough(new TextDecoderStream())) text += part;
    assert.equal(text.match(/"done":true/g)?.length, 1, "answered once");
    count.answered++;
  } catch (error) {
    assert.equal((error as { code?: string }).code, "truncated", String(error));
    count.truncated++;
  }
}

if (import.meta.main) {
  const [clients, canary] = Deno.args as [string, string];
  const pairing = (await new Response(Deno.stdin.readable).text()).trim();
  const count: StormCount = { begun: 0, answered: 0, truncated: 0, failed: [] };
  let isOver = false;
  Deno.addSignalListener("SIGTERM", () => isOver = true);
  await Promise.all(Array.from({ length: Number(clients) }, async () => {
    const client = await sealedFetch({ pairing });
    while (!isOver) {
      await ask(client, canary, count).catch((error) => {
        // A few say enough.
        isOver ||= count.failed.push(String(error)) >= MAX_FAILED;
      });
      console.log(JSON.stringify(count));
    }
  }));
  console.log(`over ${JSON.stringify(count)}`);
  Deno.exit(0);
}
