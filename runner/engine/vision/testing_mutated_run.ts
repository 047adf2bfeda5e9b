/** Reads mutated pictures one after the other, and says how far it is: the other half of mutated_test.ts. */
import { SecLlamaError } from "../../../src/errors.ts";
import { libraryFolder, VISION_LIBRARY } from "../testing.ts";
import { makeSeeingModel } from "../testing_seeing.ts";
import { loadEngine } from "../mod.ts";
import { mutatedPicture } from "./testing_mutations.ts";

export interface MutatedOrder {
  readonly from: number;
  readonly to: number;
  readonly seed: number;
}

/** The last line is what counts: one is written before each thousandth picture, and before each where it could be the last. */
export interface MutatedAnswer {
  /** The picture that it is about to read; at the end, `to`. */
  readonly at: number;
  readonly read: number;
  readonly refused: number;
}

const encoder = new TextEncoder();
const { from, to, seed }: MutatedOrder = JSON.parse(Deno.args[0]!);
const dir = await Deno.makeTempDir({ prefix: "secllama-test-" });
const [modelPath, projectorPath] = [`${dir}/model.gguf`, `${dir}/projector.gguf`];
makeSeeingModel(modelPath, projectorPath);
const engine = await loadEngine({
  libDir: libraryFolder(),
  modelPath,
  vision: { libraryPath: VISION_LIBRARY, projectorPath },
  contextLength: 256,
  slots: 1,
  threads: 1,
});
await Deno.remove(dir, { recursive: true });
let read = 0, refused = 0;
const say = (at: number) =>
  Deno.stdout.writeSync(encoder.encode(JSON.stringify({ at, read, refused }) + "\n"));
for (let at = from; at < to; at++) {
  say(at);
  try {
    using _picture = await engine.readPicture(mutatedPicture(seed, at), { client: "a" });
    read++;
  } catch (error) {
    if (!(error instanceof SecLlamaError) || error.code !== "bad-request") throw error;
    refused++;
  }
}
say(to);
Deno.exit(0);
