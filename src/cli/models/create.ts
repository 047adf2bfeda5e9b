/** `secllama create`. */
import { dirname, join, resolve as absolute } from "node:path";
import { SecLlamaError } from "../../errors.ts";
import type { FileReference, Recipe } from "../../models/create.ts";
import { attempt, exists } from "../../models/files.ts";
import { openRegularFile } from "../../models/gguf.ts";
import {
  kindOfReference,
  type Modelfile,
  MODELFILE_BYTES,
  parseModelfile,
  type Placed,
} from "../../models/modelfile.ts";
import { parseModelName } from "../../api/model_name.ts";
import { digestHex } from "../../models/names.ts";
import type { ModelStore, ResolvedModel } from "../../models/store.ts";
import { RECORDING_OPTIONS, recordingAlone } from "../audit/act.ts";
import { recordRefusal } from "./signing.ts";
import { modelFields } from "../audit/fields.ts";
import { type Command, flag, JSON_OPTION, stringOption } from "../command.ts";
import { takeUpTo } from "../../read_up_to.ts";
import { modelStoreFor } from "../installation.ts";
import { Progress } from "../progress.ts";
import { humanBytes } from "./print.ts";

export const createCommand: Command = {
  path: ["create"],
  example: "secllama create mine -f Modelfile",
  summary: "Make a model from a Modelfile",
  arguments: "NAME",
  minPositionals: 1,
  maxPositionals: 1,
  options: {
    ...RECORDING_OPTIONS,
    file: {
      type: "string",
      short: "f",
      value: "FILE",
      help: "the Modelfile (default ./Modelfile; - is standard input)",
    },
    ...JSON_OPTION,
  },
  details:
    `FROM names a model that is here, a GGUF file (./model.gguf, beside the Modelfile) or a blob (@sha256:…).
PARAMETER, SYSTEM, TEMPLATE, MESSAGE, LICENSE, ADAPTER and REQUIRES as in Ollama. A model of this name is replaced.`,
  async run(context) {
    const { tui, signal } = context;
    const name = parseModelName(context.positionals[0]!).shown;
    const path = stringOption(context, "file") ?? "Modelfile";
    const file = parseModelfile(path === "-" ? await readInput(signal) : await readFile(path));
    for (const warning of file.warnings) tui.warn(warning);
    const store = await modelStoreFor(context);
    const folder = path === "-" ? Deno.cwd() : dirname(absolute(path));
    const recipe = await recipeOf(file, { store, folder, home: context.env["HOME"] });
    const progress = new Progress(tui);
    const model = await recordingAlone(context, async (record) => {
      const model = await store.create(name, recipe, {
        signal,
        onProgress: (done, total) => progress.to(`copying into ${name}`, done, total),
      }).finally(() => progress.end()).catch((error) => recordRefusal(error, name, record));
      await record("model-created", modelFields(model));
      return model;
    });
    if (flag(context, "json")) {
      tui.json({ name: model.name, digest: model.digest, manifestDigest: model.manifestDigest });
    } else {
      tui.out(`created ${model.name}  ${model.digest}  ${humanBytes(model.sizeBytes)}`);
    }
    return 0;
  },
};

async function readFile(path: string): Promise<Uint8Array> {
  if (!(await exists(path))) {
    throw new SecLlamaError("bad-modelfile", `there is no file ${path}`, {
      field: "file",
      hint: "name the Modelfile: secllama create NAME -f FILE",
    });
  }
  using file = await openRegularFile(path);
  // One byte more than may be: the parser then says that it is too large.
  const bytes = new Uint8Array(Math.min((await file.stat()).size, MODELFILE_BYTES + 1));
  let at = 0;
  while (at < bytes.length) {
    const n = await attempt(path, () => file.read(bytes.subarray(at)));
    if (n === null) break;
    at += n;
  }
  return bytes.subarray(0, at);
}

/** As {@link readFile}, what is too large by as much as has come. */
async function readInput(signal: AbortSignal): Promise<Uint8Array> {
  const input = Deno.stdin.readable.pipeThrough(new TransformStream(), { signal });
  try {
    return await attempt("standard input", () => takeUpTo(input, MODELFILE_BYTES));
  } catch (error) {
    if (signal.aborted) throw new SecLlamaError("cancelled", "cancelled");
    throw error;
  }
}

interface Place {
  readonly store: ModelStore;
  /** What relative paths are relative to. */
  readonly folder: string;
  readonly home: string | undefined;
}

async function recipeOf(file: Modelfile, place: Place): Promise<Recipe> {
  let models = file.from.filter(({ value }) => kindOfReference(value) === "model");
  if (models.length > 1) {
    throw new SecLlamaError("bad-modelfile", `line ${models[1]!.line}: a second model in FROM`);
  }
  let base: ResolvedModel | undefined;
  if (models[0]) {
    try {
      base = await place.store.resolve(models[0].value);
    } catch (error) {
      // No model has the name, and a file has: it is meant, and what is wrong with it is said of it.
      if (!await isFile(absolute(place.folder, models[0].value))) throw error;
      models = [];
    }
  }
  return {
    ...(base ? { base } : {}),
    files: file.from.filter((one) => one !== models[0]).map((one) => referenceOf(one, place)),
    adapters: file.adapters.map((one) => referenceOf(one, place)),
    ...(file.draft && { draft: await draftOf(file.draft, place) }),
    template: file.template,
    system: file.system,
    parameters: file.parameters,
    // None in the file: those of the base stay.
    messages: file.messages.length > 0 ? file.messages : undefined,
    licenses: file.licenses,
    requires: file.requires,
  };
}

/** A draft model may be named as a model that is here, too: its weights are what is taken. */
async function draftOf(draft: Placed, place: Place): Promise<FileReference> {
  const isName = kindOfReference(draft.value) === "model" &&
    !await isFile(absolute(place.folder, draft.value));
  if (!isName) return referenceOf(draft, place);
  const { source, blobPath, digest } = await place.store.resolve(draft.value);
  return source === "embedded" ? { path: blobPath } : { digest };
}

async function isFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then((stat) => stat.isFile, () => false);
}

function referenceOf({ value, line }: Placed, place: Place): FileReference {
  if (kindOfReference(value) === "blob") {
    const digest = value.replace(/^@/, "");
    try {
      return { digest: `sha256:${digestHex(digest)}` };
    } catch (cause) {
      const wanted = "sha256: and 64 lower-case hexadecimal digits";
      throw new SecLlamaError("bad-modelfile", `line ${line}: a digest is ${wanted}`, { cause });
    }
  }
  const home = value.startsWith("~/") ? place.home : undefined;
  return { path: home ? join(home, value.slice(2)) : absolute(place.folder, value) };
}
