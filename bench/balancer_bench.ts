/**
 * What HAProxy adds: sealed requests of one token to one host, straight and through packaging/balancers/haproxy.cfg in turn, by one
 * client each; the middle and the difference, in one run on this machine. With a LINE of that file, also through an HAProxy whose file
 * does not have it.
 *
 *     deno run -A --frozen bench/balancer_bench.ts [ROUNDS] [LINE]
 */
import { startBalancer } from "../tests/fleet/balancers.ts";
import { Hosts } from "../tests/fleet/hosts.ts";
import { median } from "./median.ts";

const ROUNDS = Number(Deno.args[0] ?? 400);
const LINE = Deno.args[1];

await using hosts = await Hosts.start(1);
const oneHost = (text: string) => text.replace(/^ *server gpu-2 .*$/m, "");
await using stack = new AsyncDisposableStack();
const through = async (edit: (text: string) => string) =>
  hosts.client(stack.use(await startBalancer("haproxy", hosts.ports, edit)).url);
const ways: Record<string, ReturnType<Hosts["client"]>> = {
  straight: hosts.client(`http://127.0.0.1:${hosts.ports[0]}`),
  "through HAProxy": await through(oneHost),
};
if (LINE !== undefined) {
  ways[`without ${LINE}`] = await through((text) => {
    const rows = text.split("\n");
    const other = rows.filter((row) => row.trim() !== LINE);
    if (other.length === rows.length) throw new Error(`there is no line ${LINE}`);
    return oneHost(other.join("\n"));
  });
}
const times = new Map(Object.keys(ways).map((way) => [way, [] as number[]]));
for (let round = -20; round < ROUNDS; round++) {
  // The order changes too: what one leaves behind is not always the other's.
  const order = Object.entries(ways);
  const first = (round + 20) % order.length;
  for (const [way, client] of [...order.slice(first), ...order.slice(0, first)]) {
    const at = performance.now();
    const answer = await client("/api/generate", {
      method: "POST",
      body: JSON.stringify({
        ...{ model: "demo", prompt: "Hello", stream: false },
        options: { num_predict: 1, temperature: 0 },
      }),
    });
    await answer.text();
    if (round >= 0) times.get(way)!.push(performance.now() - at);
  }
}
const straight = median(times.get("straight")!);
for (const [way, all] of times) {
  const adds = (median(all) - straight).toFixed(2);
  console.log(`${way.padEnd(32)} p50 ${median(all).toFixed(2)} ms, adds ${adds} ms`);
}
