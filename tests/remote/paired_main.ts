/**
 * A paired client that asks small questions, each request of it on a connection of its own, and tells how each was answered.
 *
 *     paired_main.ts COUNT        the pairing string comes on standard input
 *
 * Prints `{pskId, key, statuses}`: a key document as it came, and every HTTP status in order, 0 for no answer.
 */
import { parsePairing, sealedFetch } from "../../src/client/mod.ts";

const pairing = parsePairing(await new Response(Deno.stdin.readable).text());
const client = Deno.createHttpClient({
  caCerts: pairing.certificate === undefined ? [] : [pairing.certificate],
  poolMaxIdlePerHost: 0,
});
const statuses: number[] = [];
let key: unknown;

const plain: typeof fetch = async (input, init) => {
  try {
    const response = await fetch(input, { ...init, client });
    statuses.push(response.status);
    if (new URL(String(input)).pathname === "/sealed/v1/key" && response.ok) {
      key = await response.clone().json();
    }
    return response;
  } catch (error) {
    console.error(`no answer: ${error} ${(error as Error).cause}`);
    statuses.push(0);
    throw error;
  }
};

for (let n = 0; n < Number(Deno.args[0]); n++) {
  // A new one has no key document yet.
  const sealed = sealedFetch({
    gateway: pairing.url,
    credentials: () => Promise.resolve(pairing),
    fetch: plain,
  });
  try {
    const tags = await sealed.metadata("api/tags");
    await tags.text();
    const answer = await sealed("http://secllama/api/generate", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: "demo",
        prompt: "Hi",
        stream: false,
        options: { num_predict: 1 },
      }),
    });
    await answer.text();
    statuses.push(answer.status);
  } catch (error) {
    console.error(`no answer: ${error}`);
    statuses.push(0);
  }
}
client.close();
console.log(JSON.stringify({ pskId: pairing.pskId, key, statuses }));
