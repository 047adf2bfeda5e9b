/**
 * Clients in Node: the package's file, their credentials and the URLs come as one line of JSON, and then one that ends them. Two clients
 * of each URL ask one request after the other, and a line says what came of each.
 */
import { createInterface } from "node:readline";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const { library, pskId, psk, hid, urls } = JSON.parse((await lines.next()).value);
const { sealedFetch } = await import(library);
const bytes = (hex) => Buffer.from(hex, "hex");
const credentials = { pskId, psk: bytes(psk), hid: bytes(hid) };

let isOver = false;
async function ask(client, url) {
  const answer = await client("/api/generate", {
    method: "POST",
    body: JSON.stringify({ model: "demo", prompt: "Hello", options: { num_predict: 2 } }),
  });
  try {
    const ends = (await answer.text()).match(/"done":true/g)?.length;
    return { url, status: answer.status, ends };
  } catch (error) {
    return { url, status: answer.status, cut: error.code ?? String(error) };
  }
}
const asking = urls.flatMap((url) =>
  [1, 2].map(async () => {
    const client = await sealedFetch({ gateway: url, credentials });
    while (!isOver) {
      const came = await ask(client, url).catch((error) => ({
        url,
        failed: `${error.code} ${error}`,
      }));
      console.log(JSON.stringify(came));
    }
  })
);
await lines.next();
isOver = true;
await Promise.all(asking);
process.exit(0);
