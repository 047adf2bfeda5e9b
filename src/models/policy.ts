/**
 * Only approved models: a file of the operator's that names, for models by name, the digests that they may have, or who must have
 * signed them. It is read again when it or a signer's file changes; while one cannot be read, nothing is approved.
 *
 * ```json
 * {"version": 1, "allow": [
 *   {"names": ["demo"], "digests": ["sha256:…"]},
 *   {"names": ["llama*"], "signers": ["/etc/secllama/signer.pem"]}
 * ]}
 * ```
 */
import { utf8Decode } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { fileStamp } from "../file_stamp.ts";
import { FileTooLong, readAtMost } from "../read_up_to.ts";
import { layersOf, type Manifest } from "./manifest.ts";
import { fitsModel, isModelPattern } from "../api/model_name.ts";
import { digestHex, isDigest } from "./names.ts";
import { readSigner, type Signer, verifyBundle } from "./signing.ts";

const MAX_BYTES = 1024 * 1024;
/** Whoever is asked for a thousand models in turn verifies each signature again. */
const MAX_KNOWN = 1_000;

/** A model that is to be loaded, or to get a name. */
interface Candidate {
  /** With the tag: `demo:latest`. */
  readonly name: string;
  readonly manifest: Manifest;
  /** 64 hexadecimal digits. */
  readonly manifestDigest: string;
}

/** The file, as it was read once. */
interface Reading {
  /** The policy's own file and those of the signers that it names, as they were then: path → stamp. */
  readonly files: ReadonlyMap<string, string>;
  readonly rules: readonly Rule[];
  /** Certificates end: what they vouch for is looked at each time. */
  readonly hasDates: boolean;
  /** Manifests that were approved by these rules, with the name. */
  readonly approved: Set<string>;
}

interface Rule {
  /** Patterns. */
  readonly names: readonly string[];
  /** 64 hexadecimal digits each. */
  readonly digests: ReadonlySet<string>;
  readonly signers: readonly Signer[];
}

/** Which models may be loaded. */
export class ModelPolicy {
  readonly #path: string;
  #read: Reading | undefined;

  /** @param path Full path of the file. */
  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Whether this model may be loaded under this name.
   * @param signature Gives the bundle over weights of a digest, if there is one.
   * @throws {SecLlamaError} `model-not-approved`; `bad-config` for a policy that cannot be read.
   */
  async check(
    model: Candidate,
    signature: (digest: string) => Promise<Uint8Array | undefined>,
  ): Promise<void> {
    const { rules, hasDates, approved } = await this.#reading();
    const key = `${model.name} ${model.manifestDigest}`;
    if (approved.has(key)) return;
    const remember = () => {
      if (!hasDates && approved.size < MAX_KNOWN) approved.add(key);
    };
    const meant = rules.filter(({ names }) => names.some((name) => fitsModel(name, model.name)));
    if (meant.length === 0) throw refused(model, "the policy does not name it");
    const parts = weightsOf(model.manifest);
    let why = "its digest is not in the policy";
    for (const rule of meant) {
      if (rule.digests.has(model.manifestDigest)) return remember();
      if (parts.every((part) => rule.digests.has(part))) return remember();
      if (rule.signers.length === 0) continue;
      const problem = await isSigned(parts, rule.signers, signature);
      if (problem === undefined) return remember();
      why = problem;
    }
    throw refused(model, why);
  }

  async #reading(): Promise<Reading> {
    if (this.#read !== undefined && await isUnchanged(this.#read.files)) return this.#read;
    const files = new Map<string, string>();
    const rules = await readPolicy(this.#path, files);
    const hasDates = rules.some(({ signers }) => signers.some(({ kind }) => kind === "authority"));
    return this.#read = { files, rules, hasDates, approved: new Set() };
  }
}

async function isUnchanged(files: ReadonlyMap<string, string>): Promise<boolean> {
  const now = await Promise.all(
    [...files].map(async ([path, stamp]) => stamp === await fileStamp(path).catch(() => undefined)),
  );
  return now.every(Boolean);
}

/** A file's text; its stamp, of before it was read, goes into `files`. @throws {FileTooLong} And what Deno throws. */
async function readStamped(path: string, files: Map<string, string>): Promise<string> {
  files.set(path, await fileStamp(path));
  return utf8Decode(await readAtMost(path, MAX_BYTES));
}

/** Everything that llama.cpp computes with: digests, 64 hexadecimal digits each. */
export function weightsOf(manifest: Manifest): string[] {
  return (["model", "adapter", "projector", "draft"] as const).flatMap((kind) =>
    layersOf(manifest, kind).map(({ digest }) => digestHex(digest))
  );
}

/** Undefined: each of the parts is in a bundle of one of the signers; else why not. */
async function isSigned(
  parts: readonly string[],
  signers: readonly Signer[],
  signature: (digest: string) => Promise<Uint8Array | undefined>,
): Promise<string | undefined> {
  const vouched = new Set<string>();
  for (const part of parts) {
    if (vouched.has(part)) continue;
    const bundle = await signature(`sha256:${part}`);
    if (bundle === undefined) return "it has no signature";
    try {
      for (const { sha256 } of verifyBundle(bundle, signers)) vouched.add(sha256);
    } catch (error) {
      if (error instanceof SecLlamaError) return error.message;
      throw error;
    }
    if (!vouched.has(part)) return "its signature is over other files";
  }
  return undefined;
}

/** @param files Gets each file that is read. @throws {SecLlamaError} `bad-config`. */
async function readPolicy(path: string, files: Map<string, string>): Promise<Rule[]> {
  let text: string;
  try {
    text = await readStamped(path, files);
  } catch (cause) {
    throw bad(path, cause instanceof FileTooLong ? cause.message : "cannot be read", cause);
  }
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw bad(path, "is no JSON that can be read", cause);
  }
  const { version, allow, ...rest } = Object(document) as Record<string, unknown>;
  if (version !== 1 || !Array.isArray(allow) || Object.keys(rest).length > 0) {
    throw bad(path, 'must be {"version": 1, "allow": […]}');
  }
  return await Promise.all(allow.map(async (rule, i): Promise<Rule> => {
    const { names, digests = [], signers = [], ...more } = Object(rule) as Record<string, unknown>;
    const where = `rule ${i + 1}`;
    if (Object.keys(more).length > 0) throw bad(path, `${where} has a field that is not known`);
    if (!isTexts(names) || names.length === 0 || !names.every((name) => isModelPattern(name))) {
      throw bad(path, `${where} needs names of models, * for anything`);
    }
    if (!isTexts(digests) || !digests.every((digest) => isDigest(inFull(digest)))) {
      throw bad(path, `${where} has a digest that is not 64 digits, with or without sha256:`);
    }
    if (!isTexts(signers)) throw bad(path, `${where} has signers that are no texts`);
    if (digests.length + signers.length === 0) {
      throw bad(path, `${where} names neither digests nor signers`);
    }
    return {
      names,
      digests: new Set(digests.map((digest) => digestHex(inFull(digest)))),
      signers: await Promise.all(signers.map(async (signer) => {
        if (signer.includes("-----BEGIN")) return readSigner(signer);
        try {
          return readSigner(await readStamped(signer, files));
        } catch (cause) {
          if (cause instanceof SecLlamaError) throw cause;
          throw bad(path, `${where} names a signer's file that cannot be read`, cause);
        }
      })),
    };
  }));
}

/** `secllama list --json` writes a manifest's digest as Ollama does: its digits alone. */
function inFull(digest: string): string {
  return /^[0-9a-f]{64}$/.test(digest) ? `sha256:${digest}` : digest;
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.length <= 10_000 &&
    value.every((one) => typeof one === "string");
}

function refused({ name, manifestDigest }: Candidate, why: string): SecLlamaError {
  return new SecLlamaError("model-not-approved", `the model ${name} is not approved: ${why}`, {
    hint: `its digest is sha256:${manifestDigest}; the administrator's policy ` +
      "(SECLLAMA_MODEL_POLICY) says which may be used",
    field: "model",
  });
}

function bad(path: string, what: string, cause?: unknown): SecLlamaError {
  return new SecLlamaError("bad-config", `the model policy ${path} ${what}`, {
    field: "SECLLAMA_MODEL_POLICY",
    hint: "no model is approved until that is put right: see secllama help firm",
    ...(cause === undefined ? {} : { cause }),
  });
}
