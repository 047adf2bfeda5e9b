/** Runs the exercise in Node: the configuration comes as one line of JSON on standard input. */
import { readFileSync } from "node:fs";
import { exercise } from "./exercise.mjs";

const { library, config } = JSON.parse(readFileSync(0, "utf8"));
const { psk, ...options } = config.options;
if (psk) options.credentials = { pskId: options.pskId, psk: Buffer.from(psk, "hex") };
const { sealedFetch } = await import(library);
console.log(JSON.stringify(await exercise(sealedFetch, { ...config, options })));
