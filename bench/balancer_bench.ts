/**
 * What HAProxy adds: sealed requests of one token to one host, straight and through packaging/balancers/haproxy.cfg in turn, by one
 * client each; the middle and the difference, in one run on this machine.
 *
 *     deno run -A --frozen bench/balancer_bench.ts [ROUNDS]
 */
import { startBalancer } from "../tests/fleet/balancers.ts";
import { Hosts } from "../tests/fleet/hosts.ts";
import { median } from "./median.ts";

const ROUNDS = Number(Deno.args[0] ?? 400);

await using hosts = await Hosts.start(1);
await using balancer = await startBalancer(
  "haproxy",
  hosts.ports,
  (text) => text.replace(/^ *server gpu-2 .*$/m, ""),
);
const ways = {
  straight: hosts.client(`http://127.0.0.1:${hosts.ports[0]}`),
  "through HAProxy": hosts.client(balancer.url),
};
const times = new Map(Object.keys(ways).map((way) => [way, [] as number[]]));
for (let round = -20; round < ROUNDS; round++) {
  // The order changes too: what one leaves behind is not always the other's.
  const order = Object.entries(ways);
  for (const [way, client] of round % 2 === 0 ? order : order.reverse()) {
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
const [straight, through] = [...times.values()].map(median);
for (const [way, all] of times) console.log(`${way.padEnd(16)} p50 ${median(all).toFixed(2)} ms`);
console.log(`HAProxy adds      p50 ${(through! - straight!).toFixed(2)} ms`);
