/** Reads mutated pictures or sounds one after the other, and says how far it is: the other half of mutated_test.ts. */
import { SecLlamaError } from "../../../src/errors.ts";
import { libraryFolder, VISION_LIBRARY } from "../testing.ts";
import { makeHearingModel } from "../testing_hearing.ts";
import { makeSeeingModel } from "../testing_seeing.ts";
import type { MediaKind } from "../types.ts";
import { loadEngine } from "../mod.ts";
import { mutatedFile } from "./testing_mutations.ts";

export interface MutatedOrder {
  readonly from: number;
  readonly to: number;
  readonly seed: number;
  readonly kind: MediaKind;
}

/** The last line is what counts: one is written before each thousandth picture, and before each where it could be the last. */
export interface MutatedAnswer {
  /** The picture that it is about to read; at the end, `to`. */
  readonly at: number;
  readonly read: number;
  readonly refused: number;
}

const encoder = new TextEncoder();
const { from, to, seed, kind }: MutatedOrder = JSON.parse(Deno.args[0]!);
const dir = await Deno.makeTempDir({ prefix: "secllama-test-" });
const [modelPath, projectorPath] = [`${dir}/model.gguf`, `${dir}/projector.gguf`];
(kind === "picture" ? makeSeeingModel : makeHearingModel)(modelPath, projectorPath);
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
    using _picture = await engine.readPicture(mutatedFile(kind, seed, at), { client: "a", kind });
    read++;
  } catch (error) {
    if (!(error instanceof SecLlamaError) || error.code !== "bad-request") throw error;
    refused++;
  }
}
say(to);
Deno.exit(0);
