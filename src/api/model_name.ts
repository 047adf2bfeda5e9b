/**
 * A model's name: Ollama's grammar, and the one canonical form, which store, key document and runner compare and which a
 * client authenticates (docs/wire.md; vectors in tests/vectors/model_name.json).
 *
 * ```
 * [[host "/"] namespace "/"] model [":" tag]
 * host       alphanumeric or "_", then also "-" "." ":"   at most 350
 * namespace  alphanumeric or "_", then also "-"           at most 80
 * model, tag alphanumeric or "_", then also "-" "."       at most 80
 * ```
 * No part can be empty, begin or end with a dot, or hold a separator, so a name can never leave the folder it is looked up in;
 * and none is one that Windows keeps for devices, so that a store can be carried there.
 */
import { SecLlamaError } from "../errors.ts";

const DEFAULT_HOST = "registry.ollama.ai";
const DEFAULT_NAMESPACE = "library";
const DEFAULT_TAG = "latest";

const HOST = /^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}$/;
const NAMESPACE = /^[A-Za-z0-9_][A-Za-z0-9_-]{0,79}$/;
const MODEL = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}$/;
/** Devices of Windows, whatever follows a dot or a colon ("Naming Files, Paths, and Namespaces", Microsoft); it drops dots at the end. */
const RESERVED = /^(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:[.:]|$)|\.$/i;
/** No four parts that follow the grammar take more. */
const MAX_LENGTH = 600;

export interface ModelName {
  /** The parts as they were written, what was left out filled in. */
  readonly host: string;
  readonly namespace: string;
  readonly model: string;
  readonly tag: string;
  /** For people: as it was written, without the default host and namespace and with the tag. */
  readonly shown: string;
  /** What two spellings of one model's name have in common: {@link shown} in lower case. */
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
      hint: /^https?:/i.test(text)
        ? "a name is not a web address: leave https:// out, as in registry.example/me/mine:latest"
        : /^(?:\.{0,2}|~|[A-Za-z]:)[\\/]|\.gguf$/i.test(text)
        ? "a file is taken in first, and has a name then: secllama import FILE"
        : "a name is letters, digits, `_`, `-` and `.`, as in: demo, llama3.2:1b, me/mine:latest",
    });
  }
  return name;
}

/** As {@link parseModelName}, but undefined for a name that breaks the grammar. */
export function tryParseModelName(text: string): ModelName | undefined {
  if (typeof text !== "string" || text.length > MAX_LENGTH) return undefined;
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
  if ([host, namespace, model, tag].some((part) => RESERVED.test(part))) return undefined;
  const prefix = host.toLowerCase() !== DEFAULT_HOST
    ? `${host}/${namespace}/`
    : namespace.toLowerCase() !== DEFAULT_NAMESPACE
    ? `${namespace}/`
    : "";
  const shown = `${prefix}${model}:${tag}`;
  return { host, namespace, model, tag, shown, canonical: shown.toLowerCase() };
}

/** Whether `text` may be the model's own part of a name. */
export function isModelPart(text: string): boolean {
  return MODEL.test(text) && !RESERVED.test(text);
}

/** Whether both texts name the same model; what is no name names none. */
export function isSameModel(a: string, b: string): boolean {
  const name = tryParseModelName(a);
  return name !== undefined && name.canonical === tryParseModelName(b)?.canonical;
}

/** The name with its parts in the canonical spelling: where a model lies that was stored under no other one. */
export function canonicalParts({ host, namespace, model, tag }: ModelName): ModelName {
  const [h, n, m, t] = [host, namespace, model, tag].map((part) => part.toLowerCase());
  return makeModelName({ host: h!, namespace: n!, model: m!, tag: t! })!;
}

/** Whether `text` may be a pattern of names: a name's characters, and `*` for any run of them. */
export function isModelPattern(text: unknown, most = MAX_LENGTH): text is string {
  return typeof text === "string" && text.length <= most && /^[A-Za-z0-9._:/*-]+$/.test(text);
}

/**
 * Whether a model is one of those that a pattern names. A pattern without a tag means any tag. One that begins with the default
 * host, or with the default namespace, is held against the name written out that far; all others against the canonical name.
 * @param name Canonical, or as it is shown.
 */
export function fitsModel(pattern: string, name: string): boolean {
  const wanted = pattern.toLowerCase();
  const canonical = name.toLowerCase();
  return spellingsOf(canonical, wanted).some((spelling) =>
    fits(wanted, /:[^/]*$/.test(wanted) ? spelling : spelling.replace(/:[^/]*$/, ""))
  );
}

/** The canonical name, and it written out as far as the pattern is. */
function spellingsOf(canonical: string, pattern: string): string[] {
  const slashes = canonical.split("/").length - 1;
  const inNamespace = slashes === 0 ? `${DEFAULT_NAMESPACE}/${canonical}` : canonical;
  if (pattern.startsWith(`${DEFAULT_NAMESPACE}/`)) return [canonical, inNamespace];
  if (pattern.startsWith(`${DEFAULT_HOST}/`)) {
    return [slashes < 2 ? `${DEFAULT_HOST}/${inNamespace}` : canonical];
  }
  return [canonical];
}

/** Linear in the product of both lengths at most: patterns are an administrator's, names are anybody's. */
function fits(pattern: string, text: string): boolean {
  const [first, ...rest] = pattern.split("*");
  if (!text.startsWith(first!)) return false;
  let left = text.slice(first!.length);
  const last = rest.pop();
  if (last === undefined) return left === "";
  for (const part of rest) {
    const at = left.indexOf(part);
    if (at < 0) return false;
    left = left.slice(at + part.length);
  }
  return left.endsWith(last);
}
