/** `secllama cp`. */
import { RECORDING_OPTIONS, recordingAlone } from "../audit/act.ts";
import { recordRefusal } from "./signing.ts";
import { modelFields } from "../audit/fields.ts";
import { type Command, flag, JSON_OPTION } from "../command.ts";
import { modelStoreFor } from "../installation.ts";

export const copyCommand: Command = {
  path: ["cp"],
  example: "secllama cp demo mine",
  summary: "Give a model a second name",
  arguments: "MODEL NAME",
  minPositionals: 2,
  maxPositionals: 2,
  options: { ...JSON_OPTION, ...RECORDING_OPTIONS },
  async run(context) {
    const { tui, positionals: [from, to], signal } = context;
    const store = await modelStoreFor(context);
    const model = await recordingAlone(context, async (record) => {
      const model = await store.copy(from!, to!, { signal })
        .catch((error) => recordRefusal(error, to!, record));
      await record("model-copied", modelFields(model));
      return model;
    });
    if (flag(context, "json")) tui.json({ name: model.name, digest: model.digest });
    else tui.out(`copied ${from} to ${model.name}`);
    return 0;
  },
};
