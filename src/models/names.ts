/** Where a model's manifest lies by its name, digests, and the name that a file gives. Pure: nothing here touches a file. */
import { isModelPart, makeModelName, type ModelName } from "../api/model_name.ts";
import { SecLlamaError } from "../errors.ts";

/** Both spellings occur: `sha256:` in manifests, `sha256-` in file names. */
const DIGEST = /^sha256[:-]([0-9a-f]{64})$/;

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
  if (!isModelPart(model)) {
    throw new SecLlamaError("bad-model-name", "the file's name gives no model name", {
      field: "name",
      hint: "name it: secllama import FILE --name mine",
    });
  }
  return model;
}
