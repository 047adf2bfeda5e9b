/**
 * The pull side of the OCI distribution protocol, as Ollama's registries speak it: a manifest, and ranges of blobs. Only
 * what anybody may read is pulled: there are no passwords here, and a token goes to nobody but the registry that asked.
 *
 * Protocol: https://github.com/opencontainers/distribution-spec/blob/main/spec.md, tokens:
 * https://distribution.github.io/distribution/spec/auth/token/
 */
import { JSON_TYPE } from "../api/media_types.ts";
import { createHash } from "node:crypto";
import { concat, utf8Decode } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { type Descriptor, MANIFEST_BYTES, MANIFEST_TYPE } from "../models/manifest.ts";
import type { ModelName } from "../api/model_name.ts";
import { allowOnward, allowRegistry, type Destination, type PullPolicy } from "./policy.ts";
import { type Answer, get, type TransportOptions } from "./transport.ts";

const OCI_MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";
const TOKEN_BYTES = 64 * 1024;
const MAX_REDIRECTS = 5;

interface FetchedManifest {
  readonly bytes: Uint8Array;
  /** `sha256:…` of the bytes. */
  readonly digest: string;
}

export class Registry {
  readonly #policy: PullPolicy;
  readonly #transport: TransportOptions;
  readonly #name: ModelName;
  readonly #base: Destination;
  #authorization: string | undefined;
  #renewing: Promise<void> | undefined;

  /** @throws {SecLlamaError} `registry-not-allowed`. */
  constructor(name: ModelName, policy: PullPolicy, transport: TransportOptions) {
    this.#name = name;
    this.#policy = policy;
    this.#transport = transport;
    this.#base = allowRegistry(policy, name.host);
  }

  /**
   * The manifest of the name's tag, or of a digest.
   * @throws {SecLlamaError} `model-not-found`, `pull-refused` for an index (CVE-2025-1975) or one that is too large, or
   *   whose digest is not the one asked for; `pull-failed`.
   */
  async manifest(pinned: string | undefined): Promise<FetchedManifest> {
    const path = `manifests/${pinned ?? this.#name.tag}`;
    using answer = await this.#get(path, { accept: `${MANIFEST_TYPE}, ${OCI_MANIFEST_TYPE}` });
    if (answer.status === 404) {
      throw new SecLlamaError(
        "model-not-found",
        `model "${this.#name.shown}" not found in the registry ${this.#name.host}`,
        { hint: "check the name and the tag", field: "model" },
      );
    }
    expectStatus(answer, 200);
    const bytes = await readAll(answer, MANIFEST_BYTES, "the manifest");
    if (/index|manifest\.list/.test(answer.header("content-type") ?? "") || isIndex(bytes)) {
      throw new SecLlamaError("pull-refused", "the name means a list of manifests, not a model", {
        hint: "pull one of them by its digest: secllama pull NAME@sha256:…",
      });
    }
    const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    if (pinned !== undefined && digest !== pinned) {
      throw new SecLlamaError("pull-refused", "the registry gave another manifest than asked for");
    }
    return { bytes, digest };
  }

  /**
   * A range of a blob, from `start` up to, not including, `end`. `whole`: the registry gives the file from its start, since
   * it knows no ranges.
   * @throws {SecLlamaError} `pull-refused` for a redirect that may not be followed, `pull-failed`.
   */
  async range(
    part: Descriptor,
    o: { start: number; end: number; signal: AbortSignal },
  ): Promise<{ answer: Answer; whole: boolean }> {
    const { start, end, signal } = o;
    const headers = { accept: "*/*", range: `bytes=${start}-${end - 1}` };
    const answer = await this.#get(`blobs/${part.digest}`, headers, signal);
    try {
      if (answer.status === 200) {
        expectLength(answer, part.size);
        return { answer, whole: true };
      }
      expectStatus(answer, 206);
      expectLength(answer, end - start);
      if (answer.header("content-range") !== `bytes ${start}-${end - 1}/${part.size}`) {
        throw new SecLlamaError("pull-failed", "the registry gave another range than asked for");
      }
      return { answer, whole: false };
    } catch (error) {
      answer[Symbol.dispose]();
      throw error;
    }
  }

  /** GET below the repository, with a token if one is asked for, redirects followed as far as they may be. */
  async #get(
    path: string,
    headers: Readonly<Record<string, string>>,
    signal = this.#transport.signal,
  ): Promise<Answer> {
    const { namespace, model } = this.#name;
    const url = new URL(`/v2/${namespace}/${model}/${path}`, this.#base.url);
    const first = { ...this.#base, url };
    const used = this.#authorization;
    const answer = await this.#follow(first, headers, signal);
    if (answer.status !== 401) return answer;
    const challenge = answer.header("www-authenticate");
    answer[Symbol.dispose]();
    // Also for a second time: tokens are short-lived, and large files take long. One worker's is every worker's.
    if (this.#authorization === used) await (this.#renewing ??= this.#renew(challenge));
    const again = await this.#follow(first, headers, signal);
    if (again.status !== 401) return again;
    again[Symbol.dispose]();
    throw needsPassword();
  }

  async #renew(challenge: string | undefined): Promise<void> {
    try {
      this.#authorization = `Bearer ${await this.#token(challenge)}`;
    } finally {
      this.#renewing = undefined;
    }
  }

  async #follow(
    to: Destination,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Answer> {
    let at = to;
    for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
      const own = at.url.origin === this.#base.url.origin;
      const answer = await get(at, {
        ...headers,
        ...(own && this.#authorization ? { authorization: this.#authorization } : {}),
      }, { ...this.#transport, signal });
      if (![301, 302, 303, 307, 308].includes(answer.status)) return answer;
      const target = answer.header("location") ?? "";
      answer[Symbol.dispose]();
      at = allowOnward(this.#policy, this.#base, { from: at.url, target, use: "blob" });
    }
    throw new SecLlamaError("pull-refused", "the registry redirects in circles");
  }

  /** Asks the realm of a challenge for a token to read this repository, and nothing that the challenge asks beyond. */
  async #token(challenge: string | undefined): Promise<string> {
    const fields = new Map<string, string>();
    for (const [, key, value] of (challenge ?? "").matchAll(/([a-z]+)="([^"]*)"/g)) {
      fields.set(key!, value!);
    }
    const realm = fields.get("realm");
    if (!/^bearer /i.test(challenge ?? "") || !realm) throw needsPassword();
    const onward = { from: this.#base.url, target: realm, use: "token" } as const;
    const to = allowOnward(this.#policy, this.#base, onward);
    const url = new URL(to.url);
    const service = fields.get("service");
    if (service !== undefined) url.searchParams.set("service", service);
    const { namespace, model } = this.#name;
    url.searchParams.set("scope", `repository:${namespace}/${model}:pull`);
    using answer = await get({ ...to, url }, { accept: JSON_TYPE }, this.#transport);
    expectStatus(answer, 200);
    const body = await readAll(answer, TOKEN_BYTES, "the token");
    let record: Record<string, unknown> = {};
    try {
      record = Object(JSON.parse(utf8Decode(body)));
    } catch { /* the same error as for JSON without a token */ }
    const token = record["token"] ?? record["access_token"];
    if (typeof token === "string" && /^[\x21-\x7e]{1,16384}$/.test(token)) return token;
    throw new SecLlamaError("pull-failed", "the registry gave no token");
  }
}

function needsPassword(): SecLlamaError {
  return new SecLlamaError("pull-refused", "the registry asks for a password", {
    hint: "only what anybody may read can be pulled; else copy the GGUF file: secllama import",
  });
}

function expectStatus(answer: Answer, wanted: number): void {
  if (answer.status === wanted) return;
  throw new SecLlamaError("pull-failed", `the registry answered ${answer.status}`, {
    hint: answer.status === 429 || answer.status >= 500
      ? "try again later; what has been fetched is kept"
      : "check the name; what has been fetched is kept",
  });
}

function expectLength(answer: Answer, wanted: number): void {
  if (answer.header("content-length") === String(wanted)) return;
  throw new SecLlamaError("pull-failed", "the file's length is not what the manifest says");
}

async function readAll(answer: Answer, limit: number, what: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const piece of answer.body()) {
    size += piece.length;
    if (size > limit) throw new SecLlamaError("pull-refused", `${what} is over ${limit} bytes`);
    parts.push(piece);
  }
  return concat(...parts);
}

function isIndex(bytes: Uint8Array): boolean {
  try {
    const { manifests, mediaType } = Object(JSON.parse(utf8Decode(bytes)));
    return manifests !== undefined || /index|manifest\.list/.test(String(mediaType));
  } catch {
    return false; // the manifest's parser says what is wrong
  }
}
