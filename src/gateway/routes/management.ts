/** Pull, create, copy, delete and blobs in Ollama's shapes. Mounted only where the operator turned management on. */
import type { Context, Hono } from "hono";
import { utf8 } from "../../bytes.ts";
import { readJson, requiredModel } from "../../api/body.ts";
import { errorDocument } from "../../api/errors.ts";
import { NDJSON_TYPE } from "../../api/media_types.ts";
import { parameterOf, pattern, ROUTES } from "../../api/routes.ts";
import { BAD_DIGEST_TEXT } from "../../api/texts.ts";
import { SecLlamaError, toSecLlamaError } from "../../errors.ts";
import { logMisconfigured } from "../../http/mod.ts";
import { label } from "../../log.ts";
import { parseModelName } from "../../api/model_name.ts";
import { digestHex, isDigest } from "../../models/names.ts";
import type { GatewayEvent } from "../audit.ts";
import type { GatewayContext } from "../context.ts";
import type { ManagementEnv, ModelManagement } from "../management.ts";
import { recipeOf } from "./create_request.ts";

/** Pulls and creations at once. */
const MAX_JOBS = 4;

type Job = (o: { signal: AbortSignal; onLine: (line: object) => void }) => Promise<unknown>;

export function managementRoutes(
  app: Hono<ManagementEnv>,
  context: GatewayContext,
  management: ModelManagement,
): void {
  const { models, logger } = context;
  let jobs = 0;

  /** Runs a job, its lines as NDJSON, or at its end one answer: `stream` is true unless it is false. */
  const run = async (c: Context<ManagementEnv>, stream: boolean, job: Job): Promise<Response> => {
    if (jobs >= MAX_JOBS) {
      throw new SecLlamaError("busy", "too many models are being pulled or made", {
        hint: "try again when one of them is done",
      });
    }
    jobs++;
    const stop = new AbortController();
    const signal = AbortSignal.any([c.req.raw.signal, stop.signal]);
    const done = () => void jobs--;
    if (!stream) {
      await job({ signal, onLine: () => {} }).finally(done);
      return c.json({ status: "success" });
    }
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        const send = (line: object) => {
          if (!stop.signal.aborted) controller.enqueue(utf8(`${JSON.stringify(line)}\n`));
        };
        void job({ signal, onLine: send }).then(() => send({ status: "success" }), (error) => {
          logMisconfigured(logger, toSecLlamaError(error));
          send(errorDocument(error, "ollama"));
        }).finally(() => {
          done();
          if (!stop.signal.aborted) controller.close();
        });
      },
      cancel: () => stop.abort(),
    });
    return new Response(body, { headers: { "content-type": NDJSON_TYPE } });
  };

  /** What was done is recorded before its answer says so. */
  const record = async (event: GatewayEvent, model: string) =>
    await context.audit?.record(event, { model: label(model), by: label("api") });

  const log = (operation: string, model: string) =>
    logger.warn("model-management", { operation: label(operation), model: label(model) });

  app.post(ROUTES.pull.path, async (c) => {
    const body = await readJson(c.req.raw, ROUTES.pull);
    const name = requiredModel(body);
    parseModelName(name.split("@")[0]!);
    if (body["insecure"] === true) {
      throw new SecLlamaError("bad-request", "insecure pulls are not made", {
        field: "insecure",
        hint: "registries need TLS, except on loopback",
      });
    }
    log("pull", name);
    await context.audit?.admit();
    return await run(c, streams(body), async (o) => {
      const { model } = await management.pull(name, o);
      await record("model-pulled", model.name);
    });
  });

  app.post(ROUTES.create.path, async (c) => {
    const body = await readJson(c.req.raw, ROUTES.create);
    const name = parseModelName(requiredModel(body)).shown;
    const recipe = await recipeOf(body, models);
    log("create", name);
    await context.audit?.admit();
    return await run(c, streams(body), async ({ signal, onLine }) => {
      onLine({ status: "reading model metadata" });
      const made = await models.create(name, recipe, { signal });
      await record("model-created", made.name);
      onLine({ status: "writing manifest" });
    });
  });

  app.post(ROUTES.copy.path, async (c) => {
    const { source, destination } = await readJson(c.req.raw, ROUTES.copy);
    if (typeof source !== "string" || typeof destination !== "string") {
      throw new SecLlamaError("bad-request", "source and destination are required", {
        field: "source",
      });
    }
    parseModelName(destination);
    log("copy", destination);
    await context.audit?.admit();
    const copied = await models.copy(source, destination, { signal: c.req.raw.signal });
    await record("model-copied", copied.name);
    return c.body(null, 200);
  });

  app.delete(ROUTES.delete.path, async (c) => {
    const name = requiredModel(await readJson(c.req.raw, ROUTES.delete));
    log("delete", name);
    await context.audit?.admit();
    const removed = await models.remove(name);
    await record("model-removed", removed.name);
    return c.body(null, 200);
  });

  // Hono takes HEAD for a GET whose body is dropped.
  app.get(pattern(ROUTES.blob), async (c) => {
    const digest = digestOf(parameterOf(ROUTES.blob, c.req.path));
    if (await models.uploads.has(digest)) return c.body(null, 200);
    throw new SecLlamaError("not-found", `blob "${digest}" not found`);
  });

  app.post(pattern(ROUTES.blob), async (c) => {
    const digest = digestOf(parameterOf(ROUTES.blob, c.req.path));
    if (await models.uploads.has(digest)) {
      void c.req.raw.body?.cancel().catch(() => {});
      return c.body(null, 200);
    }
    log("upload", digest);
    await models.uploads.add(digest, c.req.raw.body ?? emptyBody(), management.maxBytes);
    return c.body(null, 201);
  });

  app.post(ROUTES.push.path, (c) => {
    void c.req.raw.body?.cancel().catch(() => {});
    throw new SecLlamaError("not-supported", "models are not pushed from here", {
      hint: "SecLlama sends nothing out; copy the file that secllama show names",
    });
  });
}

function streams(body: Record<string, unknown>): boolean {
  const { stream } = body;
  if (stream === undefined || typeof stream === "boolean") return stream ?? true;
  throw new SecLlamaError("bad-request", "stream must be true or false", { field: "stream" });
}

function digestOf(text: string | undefined): string {
  if (isDigest(text)) return `sha256:${digestHex(text)}`;
  throw new SecLlamaError("bad-request", BAD_DIGEST_TEXT, {
    field: "digest",
  });
}

async function* emptyBody(): AsyncGenerator<Uint8Array> {}
