/** llama.cpp's decoder of sounds, called as it is: the oracle of what `sound_format.ts` says of a file. Not used by the runner. */
import { cString } from "../c_string.ts";
import { VISION_PARAMS, writeField } from "../layout.ts";
import { openLibrary } from "../library.ts";
import { loadModel } from "../model.ts";
import { libraryFolder, VISION_LIBRARY } from "../testing.ts";
import { makeHearingModel } from "../testing_hearing.ts";
import { HELPER_OPTIONS_BYTES, VISION_SYMBOLS } from "./symbols.ts";

/** Samples a second that it decodes to. */
export const DECODED_RATE = 16_000;

/** @param test Gets what decodes a file. This returns how many samples it is; undefined: it refuses the file. */
export async function withDecoder(
  test: (decode: (bytes: Uint8Array<ArrayBuffer>) => Promise<number | undefined>) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "secllama-test-" });
  const [modelPath, projectorPath] = [`${dir}/model.gguf`, `${dir}/projector.gguf`];
  makeHearingModel(modelPath, projectorPath);
  const library = openLibrary(libraryFolder(), { verify: false });
  const model = loadModel(library, modelPath, { gpuLayers: 0, retyped: [] });
  const mtmd = Deno.dlopen(VISION_LIBRARY, VISION_SYMBOLS).symbols;
  const params = mtmd.mtmd_context_params_default().slice(0, VISION_PARAMS.size);
  writeField(params, VISION_PARAMS.fields.use_gpu, 0);
  const { result: context } = library.collectErrors(
    () => mtmd.mtmd_init_from_file(cString(projectorPath), model.pointer, params),
    mtmd.mtmd_helper_log_set,
  );
  try {
    await test(async (bytes) => {
      const wrapper = await mtmd.mtmd_helper_bitmap_init_from_buf_in_thread(
        context,
        bytes,
        BigInt(bytes.length),
        false,
        new Uint8Array(HELPER_OPTIONS_BYTES),
      );
      const [address] = new BigUint64Array(wrapper.slice().buffer);
      const bitmap = Deno.UnsafePointer.create(address!);
      if (bitmap === null) return undefined;
      const samples = mtmd.mtmd_bitmap_get_nx(bitmap);
      mtmd.mtmd_bitmap_free(bitmap);
      return samples;
    });
  } finally {
    mtmd.mtmd_free(context);
    library.llama.llama_model_free(model.pointer);
    await Deno.remove(dir, { recursive: true });
  }
}
