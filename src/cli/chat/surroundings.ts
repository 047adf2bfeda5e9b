/** What a conversation needs beside the answers: models, and the lines that the user wants kept. */
import { join } from "node:path";
import { readError } from "../../api/errors.ts";
import { ROUTES } from "../../api/routes.ts";
import { openKeySource } from "../../keys/mod.ts";
import { exists } from "../../models/files.ts";
import { parseModelName } from "../../api/model_name.ts";
import type { CommandContext } from "../command.ts";
import { keySourceOptions } from "../key_options.ts";
import type { Post } from "./ask.ts";
import type { Surroundings } from "./converse.ts";
import { SealedHistory, type Wrapper } from "./sealed_history.ts";
import type { Session, Settings } from "./session.ts";
import type { ShowPart } from "./slash.ts";
import { showWork } from "./work_sign.ts";

/** What a conversation needs beside the answers: models, and lines that are kept. */
export async function surroundings(
  context: CommandContext,
  post: Post,
  dataDir: string,
  keep?: Surroundings["keep"],
): Promise<Surroundings> {
  const call = async (path: string, body: object, signal: AbortSignal) => {
    const response = await post(path, JSON.stringify(body), signal);
    if (!response.ok) throw await readError(response);
    return await response.json();
  };
  let storage: Promise<Wrapper> | undefined;
  const lasting = await exists(join(dataDir, "keyset.json"));
  return {
    tui: context.tui,
    post,
    home: context.env["HOME"] ?? context.env["USERPROFILE"],
    edits: context.env["TERM"] !== "dumb",
    load: async (model, keepAlive, signal) => {
      const stopSign = showWork(context.tui, model, post, signal);
      try {
        const keep = keepAlive === undefined ? {} : { keep_alive: keepAlive };
        await call(ROUTES.generate.path, { model, prompt: "", stream: false, ...keep }, signal);
      } finally {
        stopSign();
      }
    },
    sees: (model, signal) => sees(post, model, signal),
    show: async ({ model, settings }, part, signal) => {
      const own = ownText(settings, part);
      const text = showText(await call(ROUTES.show.path, { model }, signal), part);
      return own === undefined ? text : `${text}\n\nIn this conversation:\n${own}`;
    },
    save: (name, session, signal) => saveSession(context, name, session, signal),
    ...(keep === undefined ? {} : { keep }),
    ...(lasting
      ? {
        history: new SealedHistory(
          join(dataDir, "run-history"),
          // Once: nobody is asked for the passphrase of a key file a second time, least of all on leaving.
          () =>
            storage ??= openKeySource(keySourceOptions(context, dataDir)).then(
              (keys) => keys.storage(),
              (error) => {
                storage = undefined;
                throw error;
              },
            ),
        ),
      }
      : {}),
  };
}

/** Whether a model reads pictures, by `/api/show`. @throws {SecLlamaError} `model-not-found`. */
export async function sees(post: Post, model: string, signal: AbortSignal): Promise<boolean> {
  const response = await post(ROUTES.show.path, JSON.stringify({ model }), signal);
  if (!response.ok) throw await readError(response);
  const { capabilities } = Object(await response.json()) as Record<string, unknown>;
  return Array.isArray(capabilities) && capabilities.includes("vision");
}

/** A part of what `/api/show` says, or a few lines of all. */
function showText(shown: Record<string, unknown>, part: ShowPart): string {
  if (part !== "info") {
    return typeof shown[part] === "string" ? shown[part] : `There is no ${part}.`;
  }
  const details = Object(shown["details"]) as Record<string, unknown>;
  const rows = [
    ["architecture", details["family"]],
    ["parameters", details["parameter_size"]],
    ["quantization", details["quantization_level"]],
    ["capabilities", Array.isArray(shown["capabilities"]) ? shown["capabilities"].join(", ") : ""],
  ];
  return rows.map(([name, value]) => `${String(name).padEnd(18)}${value ?? ""}`).join("\n");
}

/** Of a part that /set changes, what it was set to. */
function ownText({ system, options }: Settings, part: ShowPart): string | undefined {
  if (part === "system") return system;
  const set = Object.entries(options);
  if (part !== "parameters" || set.length === 0) return undefined;
  return set.map(([name, value]) => `${name.padEnd(30)} ${value}`).join("\n");
}

/** Makes a model of the session's own. Nothing that was said goes into it: a model lies on disk as it is. */
async function saveSession(
  context: CommandContext,
  name: string,
  session: Session,
  signal: AbortSignal,
): Promise<string> {
  const { modelStoreFor } = await import("../installation.ts");
  const store = await modelStoreFor(context);
  const { system, options } = session.settings;
  const model = await store.create(parseModelName(name).shown, {
    base: await store.resolve(session.model),
    files: [],
    adapters: [],
    template: undefined,
    system,
    parameters: options,
    messages: undefined,
    licenses: [],
  }, { signal });
  return `${model.name} is made: ${session.model} with this system message and these parameters. ` +
    "What was said is not in it: a model lies on disk unsealed.";
}
