/**
 * Makes a model with random weights, to measure speed with.
 *
 *   deno run --allow-write bench/make_random_gguf.ts 15M|135M|1B [--type q8_0|q4_0|f16] OUT.gguf
 *
 * The same arguments give the same bytes.
 */
import { parseArgs } from "node:util";
import { makeRandomGguf, SHAPES, type TypeName } from "../runner/engine/testing_gguf.ts";

const TYPES = ["q8_0", "q4_0", "f16"];

const { values, positionals } = parseArgs({
  args: Deno.args,
  options: { type: { type: "string", default: "q8_0" } },
  allowPositionals: true,
});
const [size, path] = positionals;
if (!size || !path || !Object.hasOwn(SHAPES, size) || !TYPES.includes(values.type)) {
  console.error("usage: make_random_gguf.ts 15M|135M|1B [--type q8_0|q4_0|f16] OUT.gguf");
  Deno.exit(2);
}
const parameters = makeRandomGguf(size, values.type as TypeName, path);
console.log(`${path}: ${(parameters / 1e6).toFixed(1)} M parameters, ${values.type}`);
