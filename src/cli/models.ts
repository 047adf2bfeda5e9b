/** `secllama import | list | show | cp | rm | verify`: the model store on the command line. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SecLlamaError } from "../errors.ts";
import { dataDirectory } from "../config/paths.ts";
import { type ListedModel, ModelStore } from "../models/store.ts";
import { compiledFolder } from "./roles.ts";
import { showModel } from "../models/show.ts";
import { layerType, partsOf } from "../models/manifest.ts";
import { type Command, type CommandContext, flag, JSON_OPTION, stringOption } from "./command.ts";

/** The demo model of this installation, if it is there. */
export function embeddedDemoPath(): string | undefined {
  // The runner maps the file itself, so the one that is inside a compiled program would not do.
  const path = Deno.build.standalone
    ? join(compiledFolder(), "demo.gguf")
    : fileURLToPath(new URL("../../models/demo.gguf", import.meta.url));
  return existsSync(path) ? path : undefined;
}

/**
 * The store that the environment names: `<data folder>/models`, and the folder of `OLLAMA_MODELS` if it is set.
 * @throws {SecLlamaError} `bad-config`, `model-store-unreadable`.
 */
export function openModelStore(env: CommandContext["env"]): Promise<ModelStore> {
  return ModelStore.open(join(dataDirectory(env), "models"), {
    ollamaDir: env["OLLAMA_MODELS"] || undefined,
    embeddedDemo: embeddedDemoPath(),
  });
}

const importCommand: Command = {
  path: ["import"],
  summary: "Copy a GGUF file into the model store",
  arguments: "FILE",
  minPositionals: 1,
  maxPositionals: 1,
  options: {
    name: { type: "string", value: "NAME", help: "name of the model, as in: mine, mine:v2" },
    ...JSON_OPTION,
  },
  details:
    "The file is checked before and after it is copied; the original is not needed any more.",
  async run(context) {
    const { tui, signal } = context;
    const name = stringOption(context, "name");
    if (!name) {
      throw new SecLlamaError("usage", "secllama import needs --name NAME", {
        field: "name",
        hint: "for example: secllama import model.gguf --name mine",
      });
    }
    const store = await openModelStore(context.env);
    let announced = 0;
    const model = await store.importGguf(context.positionals[0]!, name, {
      signal,
      onProgress: (done) => {
        if (done - announced < 1e9) return;
        announced = done;
        tui.note(`copied ${humanBytes(done)}`);
      },
    });
    if (flag(context, "json")) {
      tui.json({ name: model.name, digest: model.digest, size: model.sizeBytes });
    } else {
      tui.out(`imported ${model.name}  ${model.digest}  ${humanBytes(model.sizeBytes)}`);
    }
    return 0;
  },
};

const listCommand: Command = {
  path: ["list"],
  summary: "List the models that are here",
  options: JSON_OPTION,
  async run(context) {
    const { tui } = context;
    const rows = await (await openModelStore(context.env)).list();
    if (flag(context, "json")) {
      tui.json({ models: rows.map(rowJson) });
      return 0;
    }
    const table = rows.map((row) => [
      row.name,
      row.manifestDigest.slice(0, 12),
      humanBytes(row.sizeBytes),
      row.details
        ? `${row.details.parameterSize} ${row.details.quantization}`
        : `damaged: ${row.problem?.message}`,
      row.source,
    ]);
    printTable(tui, ["NAME", "ID", "SIZE", "MODEL", "WHERE"], table);
    return 0;
  },
};

const showCommand: Command = {
  path: ["show"],
  summary: "Show what a model's file says of it",
  arguments: "MODEL",
  minPositionals: 1,
  maxPositionals: 1,
  options: JSON_OPTION,
  async run(context) {
    const { tui } = context;
    const store = await openModelStore(context.env);
    const model = await store.resolve(context.positionals[0]!);
    const shown = await showModel(store, model.name);
    if (flag(context, "json")) {
      tui.json({ name: model.name, digest: model.digest, source: model.source, ...shown });
      return 0;
    }
    const details = await store.details(model);
    const lines: [string, string][] = [
      ["name", model.name],
      ["architecture", details.architecture],
      ["parameters", details.parameterSize],
      ["quantization", details.quantization],
      ["context length", String(details.contextLength)],
      ["embedding length", String(details.embeddingLength)],
      ["capabilities", details.capabilities.join(", ")],
      ["digest", model.digest],
      ["file", model.blobPath],
    ];
    if (shown.system !== undefined) lines.push(["system", shown.system]);
    for (const line of shown.parameters?.split("\n") ?? []) lines.push(["parameter", line]);
    for (const [name, value] of lines) tui.out(`${name.padEnd(18)}${printable(value)}`);
    return 0;
  },
};

const copyCommand: Command = {
  path: ["cp"],
  summary: "Give a model a second name",
  arguments: "MODEL NAME",
  minPositionals: 2,
  maxPositionals: 2,
  options: JSON_OPTION,
  async run(context) {
    const { tui, positionals: [from, to], signal } = context;
    const model = await (await openModelStore(context.env)).copy(from!, to!, { signal });
    if (flag(context, "json")) tui.json({ name: model.name, digest: model.digest });
    else tui.out(`copied ${from} to ${model.name}`);
    return 0;
  },
};

const removeCommand: Command = {
  path: ["rm"],
  summary: "Remove models from the store",
  arguments: "MODEL...",
  minPositionals: 1,
  maxPositionals: 1000,
  options: JSON_OPTION,
  async run(context) {
    const { tui } = context;
    const store = await openModelStore(context.env);
    const removed = [];
    for (const name of context.positionals) {
      const one = await store.remove(name);
      removed.push(one);
      if (!flag(context, "json")) {
        tui.out(`removed ${one.name}, ${humanBytes(one.freedBytes)} freed`);
      }
    }
    if (flag(context, "json")) tui.json({ removed });
    return 0;
  },
};

const verifyCommand: Command = {
  path: ["verify"],
  summary: "Hash every model file and compare it with its digest",
  arguments: "[MODEL...]",
  maxPositionals: 1000,
  options: JSON_OPTION,
  details: "Without a name every model is checked. The exit code is 1 if one is damaged.",
  async run(context) {
    const { tui, positionals, signal } = context;
    const store = await openModelStore(context.env);
    const names = positionals.length > 0
      ? positionals
      : (await store.list()).map((row) => row.name);
    const results = [];
    for (const name of names) {
      const problem = await verifyModel(store, name, signal);
      results.push({ name, ok: problem === undefined, ...(problem ? { problem } : {}) });
      if (!flag(context, "json")) {
        tui.out(problem ? `damaged  ${name}  ${problem}` : `ok       ${name}`);
      }
    }
    if (flag(context, "json")) tui.json({ models: results });
    return results.every((result) => result.ok) ? 0 : 1;
  },
};

/** The commands of this file. */
export const modelCommands: Command[] = [
  importCommand,
  listCommand,
  showCommand,
  copyCommand,
  removeCommand,
  verifyCommand,
];

/** What is wrong with a model, or undefined. A name that is not there is an error, not a finding. */
async function verifyModel(
  store: ModelStore,
  name: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const model = await store.resolve(name);
    const parts = model.source === "embedded"
      ? model.manifest.layers.filter((layer) => layer.mediaType === layerType("model"))
      : partsOf(model.manifest);
    for (const part of parts) await store.verify(part.digest, { signal });
    await store.details(model);
    return undefined;
  } catch (error) {
    if (error instanceof SecLlamaError && ["model-corrupt", "bad-model"].includes(error.code)) {
      return error.message;
    }
    throw error;
  }
}

function rowJson(row: ListedModel) {
  return {
    name: row.name,
    source: row.source,
    digest: row.digest,
    manifestDigest: row.manifestDigest,
    size: row.sizeBytes,
    modifiedAt: row.modifiedAt.toISOString(),
    ...(row.details
      ? {
        architecture: row.details.architecture,
        parameterCount: row.details.parameterCount,
        quantization: row.details.quantization,
        contextLength: row.details.contextLength,
        capabilities: row.details.capabilities,
      }
      : { problem: row.problem?.message ?? "unknown" }),
  };
}

function printTable(tui: CommandContext["tui"], head: string[], rows: string[][]): void {
  const widths = head.map((title, i) =>
    Math.max(title.length, ...rows.map((row) => row[i]!.length)) + 2
  );
  for (const row of [head, ...rows]) {
    tui.out(row.map((cell, i) => printable(cell).padEnd(widths[i]!)).join("").trimEnd());
  }
}

/** Text from a model's file or manifest as it may reach a terminal: no escape sequence, no control character. */
function printable(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, "?");
}

/** `3.1 MB`, in powers of ten as Ollama shows sizes. */
function humanBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
