/** `secllama list`. */
import { ROUTES } from "../../api/routes.ts";
import type { OllamaTag } from "../../models/show.ts";
import type { ListedModel } from "../../models/listed_model.ts";
import { findOllamaStore, offerOllamaStore } from "../../models/ollama_store.ts";
import { type Command, type CommandContext, flag, JSON_OPTION } from "../command.ts";
import { modelStoreFor } from "../installation.ts";
import { plural } from "../../plural.ts";
import { type PairedModels, pairedModels, WHERE_DETAILS, WHERE_OPTIONS } from "./paired.ts";
import { humanBytes, printTable } from "./print.ts";

export const listCommand: Command = {
  path: ["list"],
  summary: "List the models that are here",
  options: { ...JSON_OPTION, ...WHERE_OPTIONS },
  details: WHERE_DETAILS,
  async run(context) {
    const { tui } = context;
    using paired = await pairedModels(context);
    if (paired !== undefined) return await listGateway(context, paired);
    const rows = await (await modelStoreFor(context)).list();
    if (flag(context, "json")) {
      tui.json({ models: rows.map(rowJson) });
      return 0;
    }
    if (!rows.some((row) => row.source === "ollama")) {
      const folder = await findOllamaStore(context.env);
      if (folder !== undefined && !context.env["OLLAMA_MODELS"]) tui.note(offerOllamaStore(folder));
    }
    const table = rows.map((row) => [
      row.name,
      row.manifestDigest.slice(0, 12),
      humanBytes(row.sizeBytes),
      row.details
        ? `${row.details.parameterSize} ${row.details.quantization}`
        : `damaged: ${row.problem.message}`,
      ago(row.modifiedAt),
      row.source,
    ]);
    printTable(tui, ["NAME", "ID", "SIZE", "MODEL", "MODIFIED", "WHERE"], table);
    return 0;
  },
};

async function listGateway(context: CommandContext, paired: PairedModels): Promise<number> {
  const { tui } = context;
  const { answer } = await paired.metadata(ROUTES.tags.path);
  const { models } = answer as { models: OllamaTag[] };
  if (flag(context, "json")) {
    tui.json({
      models: models.map((m) => ({
        name: m.name,
        source: paired.at,
        manifestDigest: m.digest,
        size: m.size,
        modifiedAt: m.modified_at,
        architecture: m.details.family,
        parameterCount: m.details.parameter_size,
        quantization: m.details.quantization_level,
      })),
    });
    return 0;
  }
  const table = models.map((m) => [
    m.name,
    m.digest.slice(0, 12),
    humanBytes(m.size),
    `${m.details.parameter_size} ${m.details.quantization_level}`,
    ago(new Date(m.modified_at)),
    paired.at,
  ]);
  printTable(tui, ["NAME", "ID", "SIZE", "MODEL", "MODIFIED", "WHERE"], table);
  return 0;
}

/** `3 days ago`, in Ollama's way. */
function ago(date: Date): string {
  const seconds = Math.max(0, Math.round((Date.now() - date.getTime()) / 1000));
  for (const [unit, size] of UNITS) {
    const count = Math.floor(seconds / size);
    if (count >= 2 || (count === 1 && unit !== "minute")) {
      return `${plural(count, unit)} ago`;
    }
  }
  return `${plural(seconds, "second")} ago`;
}

const UNITS = [
  ["year", 365 * 86_400],
  ["month", 30 * 86_400],
  ["week", 7 * 86_400],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
] as const;

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
      : { problem: row.problem.message ?? "unknown" }),
  };
}
