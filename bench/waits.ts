/**
 * How long a small request of one client waits in a runner while another client's request is worked on: the costliest requests that a
 * body's limit allows, and drawn ones. Beside each, the same for one long text of as many bytes, which is a plain request of that size.
 *
 *     deno run -A bench/waits.ts [DRAWN [PART OF A NAME]]        DRAWN: how many drawn ones; default 100
 */
import { DEMO_MODEL, withEngine } from "../runner/engine/testing.ts";
import { makeApi } from "../runner/api/mod.ts";
import { drawBody } from "../runner/api/testing_bodies.ts";
import { WORST } from "../runner/api/testing_worst.ts";
import { seeded } from "../tests/support/seeds.ts";

const [drawn = "100", wanted = ""] = Deno.args;
const MOST_UNITS = 1_000_000;
const SMALL = JSON.stringify({
  model: "demo",
  stream: false,
  messages: [{ role: "user", content: "hi" }],
  options: { num_predict: 1 },
});

/** A plain request of so many bytes. */
function plain(bytes: number): string {
  return SMALL.replace('"hi"', `"${"hello ".repeat(Math.max(0, bytes - SMALL.length) / 6)}"`);
}

await withEngine({ modelPath: DEMO_MODEL, contextLength: 1024, slots: 2 }, async (engine) => {
  const api = makeApi({ engine, model: "demo:latest", version: "bench", onKeepAlive: () => {} });
  const ask = async (client: string, path: string, body: string) => {
    const response = await api.fetch(
      new Request(`http://runner${path}`, { method: "POST", body }),
      { client },
    );
    await response.bytes();
    return response.status;
  };
  /** The longest of the small requests meanwhile, ms. */
  const longest = async (path: string, body: string) => {
    let done = false;
    let most = 0;
    const large = ask("large", path, body).finally(() => done = true);
    while (!done) {
      const before = performance.now();
      await ask("small", "/api/chat", SMALL);
      most = Math.max(most, performance.now() - before);
    }
    return { most, status: await large };
  };
  await longest("/api/chat", SMALL);
  const all = [
    ...Object.entries(WORST).map(([name, make]) => ({ name, ...make() })),
    ...Array.from({ length: Number(drawn) }, (_, at) => drawBody(seeded(at + 1), MOST_UNITS)),
  ].filter(({ name }) => name.includes(wanted));
  const rows: { beyond: number; line: string }[] = [];
  for (const { name, path, body } of all) {
    const { most, status } = await longest(path, body);
    const usual = (await longest("/api/chat", plain(body.length))).most;
    const shown = [most, usual].map((ms) => `${Math.round(ms)} ms`).join(", plain ");
    rows.push({ beyond: most - usual, line: `${shown}  ${status}  ${name}` });
  }
  rows.sort((a, b) => b.beyond - a.beyond);
  console.log(`load ${Deno.loadavg()[0]!.toFixed(1)}; of ${rows.length} kinds the longest waits:`);
  for (const { line } of rows.slice(0, 12)) console.log(line);
});
