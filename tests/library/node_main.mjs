/** Runs the exercise in Node: the configuration comes as one line of JSON on standard input. */
import { readFileSync } from "node:fs";
import { exercise } from "./exercise.mjs";

const { library, config } = JSON.parse(readFileSync(0, "utf8"));
const { psk, hid, ...options } = config.options;
if (psk) {
  const bytes = (hex) => Buffer.from(hex, "hex");
  options.credentials = { pskId: options.pskId, psk: bytes(psk), hid: bytes(hid) };
}
const { sealedFetch } = await import(library);
console.log(JSON.stringify(await exercise(sealedFetch, { ...config, options })));
