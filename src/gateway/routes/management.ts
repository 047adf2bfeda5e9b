/** Pull, create, copy, delete and blobs in Ollama's shapes. Mounted only where the operator turned management on. */
import type { Context, Hono } from "hono";
import { utf8 } from "../../bytes.ts";
import { SecLlamaError, toSecLlamaError } from "../../errors.ts";
import { label } from "../../log.ts";
import { digestHex, isDigest, parseModelName } from "../../models/names.ts";
import type { GatewayContext } from "../app.ts";
import type { ManagementEnv, ModelManagement } from "../management.ts";
import { readSmallJson } from "../small_body.ts";
import { recipeOf } from "./create_request.ts";

const CREATE_BYTES = 8 * 1024 * 1024;
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
          const { message, code, hint } = toSecLlamaError(error);
          send({ error: message, code, ...(hint ? { hint } : {}) });
        }).finally(() => {
          done();
          if (!stop.signal.aborted) controller.close();
        });
      },
      cancel: () => stop.abort(),
    });
    return new Response(body, { headers: { "content-type": "application/x-ndjson" } });
  };

  const log = (operation: string, model: string) =>
    logger.warn("model-management", { operation: label(operation), model: label(model) });

  app.post("/api/pull", async (c) => {
    const body = await readSmallJson(c.req.raw);
    const name = nameOf(body);
    parseModelName(name.split("@")[0]!);
    if (body["insecure"] === true) {
      throw new SecLlamaError("bad-request", "insecure pulls are not made", {
        field: "insecure",
        hint: "registries need TLS, except on loopback",
      });
    }
    log("pull", name);
    return await run(c, streams(body), (o) => management.pull(name, o));
  });

  app.post("/api/create", async (c) => {
    const body = await readSmallJson(c.req.raw, CREATE_BYTES);
    const name = parseModelName(nameOf(body)).canonical;
    const recipe = await recipeOf(body, models);
    log("create", name);
    return await run(c, streams(body), async ({ signal, onLine }) => {
      onLine({ status: "reading model metadata" });
      await models.create(name, recipe, { signal });
      onLine({ status: "writing manifest" });
    });
  });

  app.post("/api/copy", async (c) => {
    const { source, destination } = await readSmallJson(c.req.raw);
    if (typeof source !== "string" || typeof destination !== "string") {
      throw new SecLlamaError("bad-request", "source and destination are required", {
        field: "source",
      });
    }
    parseModelName(destination);
    log("copy", destination);
    await models.copy(source, destination, { signal: c.req.raw.signal });
    return c.body(null, 200);
  });

  app.delete("/api/delete", async (c) => {
    const name = nameOf(await readSmallJson(c.req.raw));
    log("delete", name);
    await models.remove(name);
    return c.body(null, 200);
  });

  // Hono takes HEAD for a GET whose body is dropped.
  app.get("/api/blobs/:digest", async (c) => {
    const here = await models.uploads.has(digestOf(c.req.param("digest")));
    return c.body(null, here ? 200 : 404);
  });

  app.post("/api/blobs/:digest", async (c) => {
    const digest = digestOf(c.req.param("digest"));
    if (await models.uploads.has(digest)) {
      void c.req.raw.body?.cancel().catch(() => {});
      return c.body(null, 200);
    }
    log("upload", digest);
    await models.uploads.add(digest, c.req.raw.body ?? emptyBody(), management.maxBytes);
    return c.body(null, 201);
  });

  app.post("/api/push", (c) => {
    void c.req.raw.body?.cancel().catch(() => {});
    throw new SecLlamaError("not-supported", "models are not pushed from here", {
      hint: "SecLlama sends nothing out; copy the file that secllama show names",
    });
  });
}

function nameOf(body: Record<string, unknown>): string {
  const name = body["model"] ?? body["name"];
  if (typeof name === "string" && name !== "") return name;
  throw new SecLlamaError("bad-request", "model is required", { field: "model" });
}

function streams(body: Record<string, unknown>): boolean {
  const { stream } = body;
  if (stream === undefined || typeof stream === "boolean") return stream ?? true;
  throw new SecLlamaError("bad-request", "stream must be true or false", { field: "stream" });
}

function digestOf(text: string): string {
  if (isDigest(text)) return `sha256:${digestHex(text)}`;
  throw new SecLlamaError("bad-request", "a digest is sha256: and 64 lower-case digits", {
    field: "digest",
  });
}

async function* emptyBody(): AsyncGenerator<Uint8Array> {}
