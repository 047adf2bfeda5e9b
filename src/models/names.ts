/**
 * Ollama's grammar of model names and digests, and where a name's manifest lies.
 *
 * ```
 * [host "/"] [namespace "/"] model [":" tag]
 * host       alphanumeric or "_", then also "-" "." ":"   at most 350
 * namespace  alphanumeric or "_", then also "-"           at most 80
 * model, tag alphanumeric or "_", then also "-" "."       at most 80
 * ```
 * No part can be empty, begin with a dot or hold a separator, so a name can never leave the folder it is looked up in.
 * Pure: nothing here touches a file.
 */
import { SecLlamaError } from "../errors.ts";

export const DEFAULT_HOST = "registry.ollama.ai";
export const DEFAULT_NAMESPACE = "library";
export const DEFAULT_TAG = "latest";

const HOST = /^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}$/;
const NAMESPACE = /^[A-Za-z0-9_][A-Za-z0-9_-]{0,79}$/;
const MODEL = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}$/;
/** Both spellings occur: `sha256:` in manifests, `sha256-` in file names. */
const DIGEST = /^sha256[:-]([0-9a-f]{64})$/;

export interface ModelName {
  readonly host: string;
  readonly namespace: string;
  readonly model: string;
  readonly tag: string;
  /** The shortest text that means this name, the tag always shown: `demo:latest`. */
  readonly canonical: string;
}

/**
 * Reads a model name as a user or a client wrote it.
 * @throws {SecLlamaError} `bad-model-name` if it does not follow the grammar above.
 */
export function parseModelName(text: string): ModelName {
  const name = tryParseModelName(text);
  if (!name) {
    throw new SecLlamaError("bad-model-name", "invalid model name", {
      field: "model",
      hint: "a name is letters, digits, `_`, `-` and `.`, as in: demo, llama3.2:1b, me/mine:latest",
    });
  }
  return name;
}

/** As {@link parseModelName}, but undefined for a name that breaks the grammar. */
export function tryParseModelName(text: string): ModelName | undefined {
  if (typeof text !== "string" || text.length > 600) return undefined;
  let rest = text;
  let tag = DEFAULT_TAG;
  // A tag holds no slash, so a colon before the last slash belongs to the host's port.
  const colon = rest.lastIndexOf(":");
  if (colon > rest.lastIndexOf("/")) {
    tag = rest.slice(colon + 1);
    rest = rest.slice(0, colon);
  }
  const parts = rest.split("/");
  if (parts.length > 3) return undefined;
  return makeModelName({
    model: parts.pop()!,
    namespace: parts.pop() ?? DEFAULT_NAMESPACE,
    host: parts.pop() ?? DEFAULT_HOST,
    tag,
  });
}

/** A name from its four parts, or undefined if one breaks the grammar. */
export function makeModelName(
  parts: { host: string; namespace: string; model: string; tag: string },
): ModelName | undefined {
  const { host, namespace, model, tag } = parts;
  if (!HOST.test(host) || !NAMESPACE.test(namespace)) return undefined;
  if (!MODEL.test(model) || !MODEL.test(tag)) return undefined;
  const prefix = host !== DEFAULT_HOST
    ? `${host}/${namespace}/`
    : namespace !== DEFAULT_NAMESPACE
    ? `${namespace}/`
    : "";
  return { host, namespace, model, tag, canonical: `${prefix}${model}:${tag}` };
}

/** Path of the manifest below the `manifests` folder, as path parts. Windows forbids `:` in file names. */
export function manifestPath(name: ModelName, os: typeof Deno.build.os = Deno.build.os): string[] {
  const host = os === "windows" ? name.host.replaceAll(":", "%3A") : name.host;
  return [host, name.namespace, name.model, name.tag];
}

/** The name whose manifest lies at these path parts below `manifests`, or undefined if none can. */
export function nameOfManifestPath(
  parts: readonly string[],
  os: typeof Deno.build.os = Deno.build.os,
): ModelName | undefined {
  const [host, namespace, model, tag] = parts;
  if (parts.length !== 4) return undefined;
  return makeModelName({
    host: os === "windows" ? host!.replaceAll("%3A", ":") : host!,
    namespace: namespace!,
    model: model!,
    tag: tag!,
  });
}

/** Whether both mean the same model: Ollama compares names without regard to case. */
export function sameName(a: ModelName, b: ModelName): boolean {
  return a.canonical.toLowerCase() === b.canonical.toLowerCase();
}

/** Whether it is a digest in either spelling. */
export function isDigest(digest: unknown): digest is string {
  return typeof digest === "string" && DIGEST.test(digest);
}

/**
 * The 64 hexadecimal digits of `sha256:…` or `sha256-…`. Nothing else becomes part of a path (CVE-2024-37032).
 * @throws {SecLlamaError} `model-corrupt` if it is anything else.
 */
export function digestHex(digest: unknown): string {
  const hex = typeof digest === "string" ? DIGEST.exec(digest)?.[1] : undefined;
  if (hex === undefined) {
    throw new SecLlamaError("model-corrupt", "a digest is not sha256: and 64 lower-case digits", {
      hint: "import the model again; a manifest was damaged or made by something else",
    });
  }
  return hex;
}

/**
 * The name for a model that is imported without one: its file's, in lower case, without `.gguf`.
 * @throws {SecLlamaError} `bad-model-name` if nothing of the file's name can stand in a model's.
 */
export function nameOfFile(path: string): string {
  const base = path.split(/[\\/]/).at(-1)!.replace(/\.gguf$/i, "");
  const model = base.toLowerCase().replace(/[^a-z0-9_.-]+/g, "-").replace(/^[^a-z0-9_]+|-+$/g, "")
    .slice(0, 80);
  if (!MODEL.test(model)) {
    throw new SecLlamaError("bad-model-name", "the file's name gives no model name", {
      field: "name",
      hint: "name it: secllama import FILE --name mine",
    });
  }
  return model;
}
