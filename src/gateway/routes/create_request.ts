/**
 * The body of `POST /api/create`. It names models and uploaded blobs by their digests, never paths: nothing a client sends
 * makes the gateway look at a file of the host (CVE-2024-39719, CVE-2024-39721, CVE-2024-39722).
 */
import { BAD_DIGEST_TEXT } from "../../api/texts.ts";
import { SecLlamaError } from "../../errors.ts";
import type { FileReference, Recipe } from "../../models/create.ts";
import { isRole, type ModelMessage } from "../../models/defaults.ts";
import { tryParseModelName } from "../../api/model_name.ts";
import { digestHex, isDigest } from "../../models/names.ts";
import { checkParameter, type ParameterValue } from "../../models/parameters.ts";
import { parseRequires } from "../../models/requires.ts";
import type { ModelStore } from "../../models/store.ts";

const MAX_FILES = 16;
const MAX_MESSAGES = 10_000;

type Body = Readonly<Record<string, unknown>>;

/** @throws {SecLlamaError} `bad-request`, `bad-modelfile` for parameters, `model-not-found` for `from`. */
export async function recipeOf(body: Body, models: ModelStore): Promise<Recipe> {
  for (const field of ["modelfile", "path"]) {
    if (body[field] !== undefined) {
      throw bad(field, `${field} is not taken: send from, files, system, template and the like`);
    }
  }
  if (body["quantize"] !== undefined && body["quantize"] !== "") {
    throw bad("quantize", "quantize is not supported: send a file that is quantized");
  }
  const from = text(body, "from");
  // A path, or anything else that is no name, is not looked for.
  if (from !== undefined && !tryParseModelName(from)) {
    throw bad("from", "from must be the name of a model");
  }
  const files = references(body, "files");
  if (!from && files.length === 0) throw bad("from", "neither from nor files was given");
  checkInfo(body["info"]);
  // Ollama's name of the field.
  const [draft, ...drafts] = references(body, "draft_files");
  if (drafts.length > 0) throw bad("draft_files", "draft_files names more than one file");
  const template = text(body, "template");
  const system = text(body, "system");
  return {
    ...(from ? { base: await models.resolve(from) } : {}),
    files,
    adapters: references(body, "adapters"),
    ...(draft ? { draft } : {}),
    ...(template ? { template } : {}),
    ...(system ? { system } : {}),
    parameters: parameters(body["parameters"]),
    messages: messages(body["messages"]),
    licenses: licenses(body["license"]),
    ...requires(text(body, "requires")),
  };
}

const INFO_TEXTS = ["model_family", "base_name", "quantization_level", "parameter_size"];
const INFO_NUMBERS = ["context_length", "embedding_length"];

/** What Ollama takes of `info` is in the file here: it is looked at and left. */
function checkInfo(value: unknown): void {
  if (value === undefined || value === null) return;
  if (typeof value !== "object" || Array.isArray(value)) throw bad("info", "info is no object");
  for (const [name, one] of Object.entries(value)) {
    const field = `info.${name}`;
    if (INFO_TEXTS.includes(name) && typeof one !== "string") {
      throw bad(field, `${field} must be a text`);
    }
    if (INFO_NUMBERS.includes(name) && !(Number.isInteger(one) && one >= 0)) {
      throw bad(field, `${field} must be a number of tokens or elements`);
    }
    const isList = Array.isArray(one) && one.every((word) => typeof word === "string");
    if (name === "capabilities" && !isList) throw bad(field, `${field} must be a list of texts`);
  }
}

function requires(given: string | undefined): Pick<Recipe, "requires"> {
  if (!given) return {};
  const version = parseRequires(given);
  if (version === undefined) throw bad("requires", "requires must be a version, as in 0.14.0");
  return { requires: version };
}

function text(body: Body, field: string): string | undefined {
  const value = body[field] ?? undefined;
  if (value === undefined || typeof value === "string") return value;
  throw bad(field, `${field} must be a text`);
}

/** `{"name of a file": "sha256:…"}`; the names mean nothing here. */
function references(body: Body, field: string): FileReference[] {
  const value = body[field] ?? {};
  if (typeof value !== "object" || Array.isArray(value)) throw bad(field, `${field} is no object`);
  const digests = Object.values(value);
  if (digests.length > MAX_FILES) throw bad(field, `${field} names more than ${MAX_FILES} files`);
  return digests.map((digest) => {
    if (!isDigest(digest)) throw bad(field, BAD_DIGEST_TEXT);
    return { digest: `sha256:${digestHex(digest)}` };
  });
}

function parameters(value: unknown): Record<string, ParameterValue> {
  const out: Record<string, ParameterValue> = {};
  if (value === undefined || value === null) return out;
  if (typeof value !== "object" || Array.isArray(value)) {
    throw bad("parameters", "parameters is no object");
  }
  for (const [name, setting] of Object.entries(value)) {
    out[name] = checkParameter(name, setting, "parameters");
  }
  return out;
}

function messages(value: unknown): ModelMessage[] | undefined {
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value) || value.length > MAX_MESSAGES) {
    throw bad("messages", `messages is no list of at most ${MAX_MESSAGES}`);
  }
  if (value.length === 0) return undefined;
  return value.map((message) => {
    const { role, content } = Object(message) as Body;
    if (isRole(role) && typeof content === "string") return { role, content };
    throw bad("messages", "a message has a role (system, user, assistant) and a content");
  });
}

function licenses(value: unknown): string[] {
  const list = value === undefined || value === null ? [] : Array.isArray(value) ? value : [value];
  if (list.length <= 64 && list.every((one) => typeof one === "string")) {
    return list.filter((one) => one !== "");
  }
  throw bad("license", "license must be a text or a list of texts");
}

function bad(field: string, message: string): SecLlamaError {
  return new SecLlamaError("bad-request", message, { field });
}
