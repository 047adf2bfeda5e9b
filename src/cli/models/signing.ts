/** `secllama model …`: signatures of models, and whether the policy lets them be loaded. */
import { basename } from "node:path";
import { utf8 } from "../../bytes.ts";
import { SecLlamaError, toSecLlamaError } from "../../errors.ts";
import { label } from "../../log.ts";
import { parseModelName, tryParseModelName } from "../../api/model_name.ts";
import { hashFile } from "../../models/files.ts";
import { weightsOf } from "../../models/policy.ts";
import {
  filesNamedIn,
  MAX_BUNDLE_BYTES,
  readSigner,
  type SignedFile,
  signFiles,
  verifyBundle,
} from "../../models/signing.ts";
import type { ModelStore } from "../../models/store.ts";
import type { RecordAct } from "../audit/act.ts";
import { type Command, type CommandContext, flag, JSON_OPTION, stringOption } from "../command.ts";
import { modelStoreFor } from "../installation.ts";
import { readUpTo } from "../../read_up_to.ts";

/** A bundle that speaks of more files than this is kept for none. */
const MAX_FILES = 10_000;

const sign: Command = {
  path: ["model", "sign"],
  example: "secllama model sign ./model.gguf --key key.pem --output model.sig",
  summary: "Vouch for a model with a key of yours: a bundle of OpenSSF Model Signing v1",
  arguments: "FILE|MODEL",
  minPositionals: 1,
  maxPositionals: 1,
  options: {
    key: { type: "string", value: "FILE", help: "PEM private key: P-256, P-384 or P-521" },
    certificates: {
      type: "string",
      value: "FILE",
      help: "PEM certificates that vouch for the key, its own first (default: a bare key)",
    },
    output: { type: "string", value: "FILE", help: "where to write the bundle" },
    ...JSON_OPTION,
  },
  details:
    `A model's bundle is kept in the store as well; a file's is written to --output (default: FILE.sig). To make a key:
openssl ecparam -genkey -name prime256v1 -noout -out key.pem; openssl ec -in key.pem -pubout -out public.pem`,
  async run(context) {
    const what = context.positionals[0]!;
    const keyFile = stringOption(context, "key");
    if (keyFile === undefined) {
      throw new SecLlamaError("usage", "--key is needed", {
        field: "--key",
        hint: "for how to make one, run: secllama model sign --help",
      });
    }
    const chainFile = stringOption(context, "certificates");
    const { files, store } = await meant(context, what);
    const bundle = signFiles(
      store === undefined ? basename(what) : parseModelName(what).canonical,
      files,
      await readText(keyFile, "--key"),
      chainFile === undefined ? undefined : await readText(chainFile, "--certificates"),
    );
    const output = stringOption(context, "output") ??
      (store === undefined ? `${what}.sig` : undefined);
    if (output !== undefined) await Deno.writeTextFile(output, bundle + "\n");
    if (store !== undefined) {
      for (const { sha256 } of files) await store.keepSignature(`sha256:${sha256}`, utf8(bundle));
    }
    if (flag(context, "json")) context.tui.json({ files, output: output ?? null });
    else {
      for (const { name, sha256 } of files) context.tui.out(`signed  ${name}  sha256:${sha256}`);
      if (output !== undefined) context.tui.note(`the bundle is in ${output}`);
    }
    return 0;
  },
};

const verify: Command = {
  path: ["model", "verify"],
  example: "secllama model verify ./model.gguf --signer public.pem",
  summary: "Whether somebody whom you trust vouches for a model: needs no network",
  arguments: "FILE|MODEL",
  minPositionals: 1,
  maxPositionals: 1,
  options: {
    signer: {
      type: "string",
      value: "FILE",
      help: "PEM public key, or certificate of an authority",
    },
    signature: {
      type: "string",
      value: "FILE",
      help: "the bundle (default: FILE.sig; of a model the one in the store)",
    },
    ...JSON_OPTION,
  },
  details: "The exit code is 9 if nobody of these has signed it, or it was changed since.",
  async run(context) {
    const what = context.positionals[0]!;
    const signerFile = stringOption(context, "signer");
    if (signerFile === undefined) {
      throw new SecLlamaError("usage", "--signer is needed: whom do you trust?", {
        field: "--signer",
      });
    }
    const signer = readSigner(await readText(signerFile, "--signer"));
    const { files, store } = await meant(context, what);
    const given = stringOption(context, "signature") ??
      (store === undefined ? `${what}.sig` : undefined);
    for (const { name, sha256 } of files) {
      const bundle = given === undefined
        ? await store!.signature(`sha256:${sha256}`)
        : await readBytes(given, "--signature");
      if (bundle === undefined) {
        throw new SecLlamaError("model-not-approved", `${name} has no signature here`, {
          hint: "to keep one: secllama model add-signature FILE",
        });
      }
      if (!verifyBundle(bundle, [signer]).some((one) => one.sha256 === sha256)) {
        throw new SecLlamaError(
          "model-not-approved",
          `${name} is not what was signed: its digest is sha256:${sha256}`,
        );
      }
    }
    if (flag(context, "json")) context.tui.json({ ok: true, files });
    else for (const { name } of files) context.tui.out(`ok       ${name}`);
    return 0;
  },
};

const add: Command = {
  path: ["model", "add-signature"],
  summary: "Keep a bundle for the models whose weights it names, before they are pulled too",
  arguments: "FILE",
  minPositionals: 1,
  maxPositionals: 1,
  options: JSON_OPTION,
  details: "Whether it is worth anything, the policy decides at each load.",
  async run(context) {
    const store = await modelStoreFor(context);
    const files = await keepSignature(store, context.positionals[0]!);
    if (flag(context, "json")) context.tui.json({ files });
    else {for (const { name, sha256 } of files) {
        context.tui.out(`kept for ${name}  sha256:${sha256}`);
      }}
    return 0;
  },
};

/** The commands of `secllama model`. */
export const signingCommands: readonly Command[] = [sign, verify, add];

/** Keeps a bundle for all weights that it names. @throws {SecLlamaError} `bad-request`, `usage`. */
export async function keepSignature(store: ModelStore, path: string): Promise<SignedFile[]> {
  const bundle = await readBytes(path, "FILE");
  const files = filesNamedIn(bundle).slice(0, MAX_FILES);
  for (const { sha256 } of files) await store.keepSignature(`sha256:${sha256}`, bundle);
  return files;
}

/** Rethrows; a refusal by the policy is a line of the record. */
export async function recordRefusal(
  error: unknown,
  model: string,
  record: RecordAct,
): Promise<never> {
  const { code } = toSecLlamaError(error);
  if (code === "model-not-approved") {
    const name = tryParseModelName(model)?.shown ?? model;
    await record("model-refused", { model: label(name), code: label(code) });
  }
  throw error;
}

/** The files of a model of the store, or one file. */
async function meant(
  context: CommandContext,
  what: string,
): Promise<{ files: SignedFile[]; store?: ModelStore }> {
  const info = await Deno.stat(what).catch(() => undefined);
  if (info?.isFile) {
    const { hex } = await hashFile(what, { signal: context.signal });
    return { files: [{ name: basename(what), sha256: hex }] };
  }
  const store = await modelStoreFor(context);
  const model = await store.resolve(what);
  return {
    store,
    files: weightsOf(model.manifest).map((sha256) => ({ name: `sha256-${sha256}`, sha256 })),
  };
}

async function readBytes(path: string, field: string): Promise<Uint8Array> {
  try {
    const bytes = await readUpTo(path, MAX_BUNDLE_BYTES);
    if (bytes.length > MAX_BUNDLE_BYTES) throw new Error("too long");
    return bytes;
  } catch (cause) {
    throw new SecLlamaError("usage", `${path} cannot be read`, { field, cause });
  }
}

async function readText(path: string, field: string): Promise<string> {
  return new TextDecoder().decode(await readBytes(path, field));
}
