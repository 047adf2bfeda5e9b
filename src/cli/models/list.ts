/** `secllama list`. */
import type { ListedModel } from "../../models/store.ts";
import { type Command, flag, JSON_OPTION } from "../command.ts";
import { modelStoreFor } from "../installation.ts";
import { humanBytes, printTable } from "./print.ts";

export const listCommand: Command = {
  path: ["list"],
  summary: "List the models that are here",
  options: JSON_OPTION,
  async run(context) {
    const { tui } = context;
    const rows = await (await modelStoreFor(context)).list();
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
