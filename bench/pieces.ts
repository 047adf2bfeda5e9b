/**
 * The longest piece of work of a runner's JavaScript thread, for the costliest requests that a body's limit allows.
 *
 *     deno run -A bench/pieces.ts [PART OF A NAME]
 */
import { DEMO_MODEL, withEngine } from "../runner/engine/testing.ts";
import { makeApi } from "../runner/api/mod.ts";
import { WORST } from "../runner/api/testing_worst.ts";
import { longestPiece } from "../runner/testing_pieces.ts";

const wanted = Deno.args[0] ?? "";
await withEngine({ modelPath: DEMO_MODEL, contextLength: 1024, slots: 2 }, async (engine) => {
  const api = makeApi({ engine, model: "demo:latest", version: "bench", onKeepAlive: () => {} });
  for (const [name, make] of Object.entries(WORST)) {
    if (!name.includes(wanted)) continue;
    const { path, body } = make();
    const bytes = new TextEncoder().encode(body);
    let status = 0;
    const ms = await longestPiece(async () => {
      const request = new Request(`http://runner${path}`, {
        method: "POST",
        body: ReadableStream.from([bytes]),
      });
      const response = await api.fetch(request, { client: "a" });
      status = response.status;
      await response.bytes();
    });
    console.log(
      `${Math.round(ms).toString().padStart(6)} ms  ${
        (bytes.length / 1e6).toFixed(1).padStart(5)
      } MB  ${status}  ${name}`,
    );
  }
});
