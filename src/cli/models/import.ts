/** `secllama import`. */
import { SecLlamaError } from "../../errors.ts";
import { joinsMessages } from "../../models/capabilities.ts";
import { openRegularFile } from "../../models/gguf.ts";
import { nameOfFile } from "../../models/names.ts";
import { RECORDING_OPTIONS, recordingAlone } from "../audit/act.ts";
import { modelFields } from "../audit/fields.ts";
import { type Command, flag, JSON_OPTION, stringOption } from "../command.ts";
import { modelStoreFor } from "../installation.ts";
import { Progress } from "../progress.ts";
import { humanBytes, sizeOf } from "./print.ts";
import { keepSignature, recordRefusal } from "./signing.ts";

export const importCommand: Command = {
  path: ["import"],
  example: "secllama import ./model.gguf",
  summary: "Copy a GGUF file into the model store",
  arguments: "FILE",
  minPositionals: 1,
  maxPositionals: 1,
  options: {
    ...RECORDING_OPTIONS,
    name: {
      type: "string",
      value: "NAME",
      help: "name of the model, as in: mine, mine:v2 (default: after the file)",
    },
    projector: {
      type: "string",
      value: "FILE",
      help: "GGUF file of the encoder, for a model that sees pictures",
    },
    signature: {
      type: "string",
      value: "FILE",
      help: "who vouches for it: a bundle of OpenSSF Model Signing, kept with the model",
    },
    ...JSON_OPTION,
  },
  details: `The file is checked before and after it is copied; the original is not needed any more.
Without --name the model is named after its file: ./Mine-Q8_0.gguf becomes mine-q8_0. A model that has this name
already is not replaced, unless --name says so.
A model that sees comes in two files; the second, often called mmproj, is the projector.`,
  async run(given) {
    // The setting of this name is about other things.
    const { name: chosen, ...values } = given.values;
    const context = { ...given, values };
    const { tui, signal } = context;
    const path = context.positionals[0]!;
    if (/^https?:\/\//i.test(path)) {
      throw new SecLlamaError("usage", "import takes a file of this machine, no web address", {
        field: "FILE",
        hint: "download it first and import the file; from a registry: secllama pull MODEL",
      });
    }
    const store = await modelStoreFor(context);
    // What is no file is told so, before its name is.
    (await openRegularFile(path)).close();
    const name = typeof chosen === "string" ? chosen : nameOfFile(path);
    if (chosen === undefined && await store.has(name)) {
      throw new SecLlamaError("bad-request", `there is a model ${name} already`, {
        field: "name",
        hint: `to replace it: --name ${name}; to keep both: --name ${name}:v2`,
      });
    }
    const progress = new Progress(tui);
    let before = 0, last = 0;
    const projector = stringOption(context, "projector");
    const sizes = [await sizeOf(path), projector === undefined ? 0 : await sizeOf(projector)];
    const total = sizes.reduce((sum, one) =>
      sum !== undefined && one !== undefined ? sum + one : undefined
    );
    const signature = stringOption(context, "signature");
    if (signature !== undefined) await keepSignature(store, signature);
    const model = await recordingAlone(context, async (record) => {
      const model = await store.importGguf(path, name, {
        signal,
        projector,
        onProgress(done) {
          if (done < last) before += last; // the second file
          last = done;
          progress.to(`copying ${path.split(/[\\/]/).at(-1)}`, before + done, total);
        },
      }).finally(() => progress.end()).catch((error) => recordRefusal(error, name, record));
      await record("model-imported", modelFields(model));
      return model;
    });
    if (joinsMessages(await store.details(model), undefined)) {
      tui.note(
        "the file has no chat template: messages are joined as they are; give it one with TEMPLATE in a Modelfile",
      );
    }
    if (flag(context, "json")) {
      tui.json({ name: model.name, digest: model.digest, size: model.sizeBytes });
    } else {
      tui.out(`imported ${model.name}  ${model.digest}  ${humanBytes(model.sizeBytes)}`);
    }
    return 0;
  },
};
