/** What clients ask about models without prompting one: names, sizes, what is loaded. None of it is a conversation. */
import type { Hono } from "hono";
import { readJson, requiredModel } from "../../api/body.ts";
import type { LoadingRow } from "../../api/loading.ts";
import { COSE_TYPE } from "../../api/media_types.ts";
import { parameterOf, pattern, ROUTES } from "../../api/routes.ts";
import { MAY_HEADER, modelNotFoundText, OLLAMA_API_VERSION } from "../../api/texts.ts";
import { SecLlamaError } from "../../errors.ts";
import { isSameModel, parseModelName, tryParseModelName } from "../../api/model_name.ts";
import { ollamaTag, showModel } from "../../models/show.ts";
import type { ListedModel } from "../../models/listed_model.ts";
import type { GatewayContext } from "../context.ts";
import type { ManagementEnv } from "../management.ts";
import { elsewhere, isClientOf } from "../place.ts";
import { PLAIN_CLIENT, shareOf } from "../share.ts";
import type { LoadedModel } from "../../supervisor/loaded_model.ts";
import type { LoadStand } from "../../supervisor/load_stands.ts";

export function metadataRoutes(app: Hono<ManagementEnv>, context: GatewayContext): void {
  const { models, supervisor } = context;

  app.get(
    ROUTES.version.path,
    (c) => c.json({ version: OLLAMA_API_VERSION, secllama: context.version }),
  );

  app.get(ROUTES.tags.path, async (c) => {
    const own = await tags(models);
    return c.json({ models: [...own, ...modelsElsewhere(context, c.get("proven"), own)] });
  });

  app.get(ROUTES.ps.path, async (c) => {
    const asker = c.get("proven");
    if (asker !== undefined && supervisor.keys.may(asker, "stop")) c.header(MAY_HEADER, "stop");
    const others = othersFor(context, asker).flatMap(({ label, loaded }) =>
      loaded.map((row) => ({ ...row, host: label }))
    );
    const loading = supervisor.awaited(shareOf(c.env, asker ?? PLAIN_CLIENT)).map(loadingRow);
    return c.json({
      models: [...await ownRows(context, asker), ...others],
      ...(loading.length === 0 ? {} : { loading }),
    });
  });

  app.post(ROUTES.show.path, async (c) => {
    const asked = requiredModel(await readJson(c.req.raw, ROUTES.show));
    return await atItsHost(context, c.get("proven"), asked) ??
      c.json(await showModel(models, asked));
  });

  app.get(pattern(ROUTES.receipt), async (c) => {
    const id = parameterOf(ROUTES.receipt, c.req.path) ?? "";
    if (context.receipts === undefined) {
      throw new SecLlamaError("not-found", "this host gives no receipts: it keeps no audit log", {
        hint: "its administrator turns it on with SECLLAMA_AUDIT=on",
      });
    }
    return c.body(await context.receipts(id), 200, { "content-type": COSE_TYPE });
  });

  app.get(ROUTES.models.path, async (c) => {
    const own = await models.list();
    const others = modelsElsewhere(context, c.get("proven"), own);
    const data = [...own, ...others.map(asListed)].map(listedModel);
    return c.json({
      object: "list",
      data,
      has_more: false,
      first_id: data.at(0)?.id ?? null,
      last_id: data.at(-1)?.id ?? null,
    });
  });

  app.get(pattern(ROUTES.model), async (c) => {
    const asked = parameterOf(ROUTES.model, c.req.path) ?? "";
    const other = await atItsHost(context, c.get("proven"), asked);
    if (other !== undefined) return other;
    const { name } = await models.resolve(asked);
    const row = (await models.list()).find((m) => isSameModel(m.name, name));
    if (!row) throw new SecLlamaError("model-not-found", modelNotFoundText(asked));
    // Clients compare it with what they asked for.
    return c.json({ ...listedModel(row), id: asked });
  });
}

/** Rows of `/api/tags`. */
export async function tags(models: GatewayContext["models"]) {
  return (await models.list()).map(ollamaTag).filter((tag) => tag !== undefined);
}

/** Rows of `/api/ps`. */
export async function loadedRows(
  { models, supervisor }: Pick<GatewayContext, "models" | "supervisor">,
) {
  const details = new Map((await tags(models)).map((row) => [row.name, row.details]));
  // One that drains while it is loaded anew is the same model to who asks; the newer comes first.
  const rows = new Map<string, LoadedModel>();
  for (const one of supervisor.loaded()) if (!rows.has(one.name)) rows.set(one.name, one);
  return [...rows.values()].map((m) => ({
    name: m.name,
    model: m.name,
    size: m.sizeBytes,
    digest: m.manifestDigest,
    details: details.get(m.name) ?? {},
    // Ollama's clients parse a date: "for ever" is a far one.
    expires_at: new Date(Math.min(m.expiresAtMs, Date.UTC(2300, 0))).toISOString(),
    size_vram: 0,
    context_length: m.contextLength,
  }));
}

/** Those of this host; a fleet's client is told whose they are, as with the others'. */
async function ownRows(context: GatewayContext, asker: string | undefined) {
  const { fleet } = context;
  const rows = await loadedRows(context);
  if (!fleet?.label || !isOfFleet(context, asker)) return rows;
  return rows.map((row) => ({ ...row, host: fleet.label }));
}

/** A row of the field that only `/api/ps` of SecLlama has, with the words of Ollama's `/api/pull`. */
function loadingRow({ name, digest, status, completedBytes, totalBytes }: LoadStand): LoadingRow {
  return { name, model: name, digest, status, completed: completedBytes, total: totalBytes };
}

/** The fleet's other hosts, for its clients: this host's own programs, and who is paired with it alone, cannot use them. */
function othersFor(context: GatewayContext, asker: string | undefined) {
  const { fleet } = context;
  return fleet !== undefined && isOfFleet(context, asker) ? fleet.others() : [];
}

/** Whether who asks is one of the fleet's clients. */
function isOfFleet({ fleet, supervisor }: GatewayContext, asker: string | undefined): boolean {
  return fleet !== undefined && asker !== undefined && isClientOf(fleet, asker) &&
    supervisor.keys.has(asker);
}

/** Rows of `/api/tags` of models that only other hosts of the fleet have. */
function modelsElsewhere(
  context: GatewayContext,
  asker: string | undefined,
  own: readonly { readonly name: string }[],
) {
  const names = new Set(own.map(({ name }) => name));
  return othersFor(context, asker).flatMap(({ models }) =>
    models.filter(({ name }) => !names.has(name) && names.add(name))
  );
}

/** For one of the fleet's clients: where a model is asked about that only another host has. Undefined: here. */
async function atItsHost(context: GatewayContext, asker: string | undefined, asked: string) {
  const model = tryParseModelName(asked)?.canonical;
  if (asker === undefined || model === undefined) return undefined;
  return await elsewhere(context, { pskId: asker, model });
}

function asListed(row: { readonly name: string; readonly modified_at?: unknown }) {
  // Another host's word: it may be anything.
  const at = typeof row.modified_at === "string" ? Date.parse(row.modified_at) : NaN;
  return { name: row.name, modifiedAt: new Date(Number.isNaN(at) ? 0 : at) };
}

/** A model as OpenAI's clients read it, and, in the fields after those, as Anthropic's do: they ask at the same path. */
function listedModel(row: Pick<ListedModel, "name" | "modifiedAt">) {
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
