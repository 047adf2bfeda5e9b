/** What clients ask about models without prompting one: names, sizes, what is loaded. None of it is a conversation. */
import type { Hono } from "hono";
import { SecLlamaError } from "../../errors.ts";
import { parseModelName } from "../../models/names.ts";
import { ollamaTag, showModel } from "../../models/show.ts";
import type { ListedModel } from "../../models/store.ts";
import { OLLAMA_API_VERSION } from "../../http/api_paths.ts";
import type { GatewayContext } from "../app.ts";
import type { ManagementEnv } from "../management.ts";
import { readSmallJson } from "../small_body.ts";

export function metadataRoutes(app: Hono<ManagementEnv>, context: GatewayContext): void {
  const { models, supervisor } = context;

  app.get(
    "/api/version",
    (c) => c.json({ version: OLLAMA_API_VERSION, secllama: context.version }),
  );

  app.on(["GET", "HEAD"], "/api/tags", async (c) => {
    return c.json({
      models: (await models.list()).map(ollamaTag).filter((tag) => tag !== undefined),
    });
  });

  app.get("/api/ps", async (c) => {
    const tags = new Map((await models.list()).map((row) => [row.name, ollamaTag(row)]));
    return c.json({
      models: supervisor.loaded().map((m) => ({
        name: m.name,
        model: m.name,
        size: m.sizeBytes,
        digest: m.manifestDigest,
        details: tags.get(m.name)?.details ?? {},
        // Ollama's clients parse a date: "for ever" is a far one.
        expires_at: new Date(Math.min(m.expiresAtMs, Date.UTC(2300, 0))).toISOString(),
        size_vram: 0,
        context_length: m.contextLength,
      })),
    });
  });

  app.post("/api/show", async (c) => {
    const body = await readSmallJson(c.req.raw);
    const name = body["model"] ?? body["name"];
    if (typeof name !== "string" || name === "") {
      throw new SecLlamaError("bad-request", "model is required", { field: "model" });
    }
    return c.json(await showModel(models, name));
  });

  app.get("/v1/models", async (c) => {
    const data = (await models.list()).map(listedModel);
    return c.json({
      object: "list",
      data,
      has_more: false,
      first_id: data.at(0)?.id ?? null,
      last_id: data.at(-1)?.id ?? null,
    });
  });

  app.get("/v1/models/:model{.+}", async (c) => {
    const { name } = await models.resolve(c.req.param("model"));
    const row = (await models.list()).find((m) => m.name === name);
    if (!row) {
      throw new SecLlamaError("model-not-found", `model "${name}" not found, try pulling it first`);
    }
    return c.json(listedModel(row));
  });
}

/** A model as OpenAI's clients read it, and, in the fields after those, as Anthropic's do: they ask at the same path. */
function listedModel(row: ListedModel) {
  return {
    id: row.name,
    object: "model",
    created: Math.floor(row.modifiedAt.getTime() / 1000),
    owned_by: parseModelName(row.name).namespace,
    type: "model",
    display_name: row.name,
    created_at: row.modifiedAt.toISOString(),
  };
}
