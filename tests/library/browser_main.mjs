/** Runs the exercise in a page: asks its own server for the configuration and posts the result back. */
import { exercise } from "./exercise.mjs";

async function run() {
  const { library, config } = await (await fetch("/config")).json();
  const { psk, hid, ...options } = config.options;
  if (psk) {
    const bytes = (hex) => Uint8Array.from(hex.match(/../g), (pair) => parseInt(pair, 16));
    options.credentials = { pskId: options.pskId, psk: bytes(psk), hid: bytes(hid) };
  }
  const { sealedFetch } = await import(library);
  return await exercise(sealedFetch, { ...config, options });
}

const text = await run().then(
  JSON.stringify,
  (error) => `${error.stack} ${error.code} ${error.hint}`,
);
await fetch("/result", { method: "POST", body: text });
