/**
 * Lets only holders of a pre-shared key ask for what is not sealed: key documents, names of models, the status. Required where
 * the gateway can be reached from beyond loopback. Everything that is not named as open needs a proof, so that a new route is
 * closed until somebody opens it. A proof is also how the host learns that a client has taken up its newest key.
 */
import type { MiddlewareHandler } from "hono";
import { collect } from "../api/body.ts";
import { errorResponse } from "../api/errors.ts";
import { runnerName } from "../api/runner_name.ts";
import { bodyLimit, isMetadata, routeOf, ROUTES, takes } from "../api/routes.ts";
import { type Bytes, equalConstantTime, toHex } from "../bytes.ts";
import { type ErrorCode, SecLlamaError } from "../errors.ts";
import { secret } from "../secret.ts";
import { HOST_HEADER } from "../sealed/member.ts";
import {
  NOW_HEADER,
  parseProof,
  PROOF_HEADER,
  type ProvenRequest,
  verifyProof,
} from "../sealed/proof.ts";
import type { NonceLimits, Nonces } from "./nonces.ts";

/** A proof's time may be this far from ours, either way. */
export const PROOF_SKEW_MS = 120_000;
/** What a gateway remembers of proofs. */
export const PROOF_NONCES: NonceLimits = {
  all: 100_000,
  // So that one cannot keep the others out: 80 a second, on and on.
  each: 20_000,
  lifeMs: 2 * PROOF_SKEW_MS,
};

/** Of what a proof lets in, nothing is longer: beyond loopback neither plaintext inference nor management is served. */
const MAX_BODY = ROUTES.show.maxBytes;

interface ProofGateOptions {
  /** The host's id and the proof key of a psk_id, a copy; undefined for a stranger. */
  readonly proofKey: (
    pskId: string,
  ) => Promise<{ readonly hid: Uint8Array; readonly key: Uint8Array } | undefined>;
  /** Those of the proofs that were taken, of this process. */
  readonly nonces: Nonces;
  /** What balancers know this host by. */
  readonly label?: () => string;
  /** Which host of the fleet is better for this request, `<label>.<hid>`; undefined: this one. */
  readonly place?: (
    o: { readonly pskId: string; readonly target: string; readonly hid: string },
  ) => string | undefined;
  /** What a stranger is told instead of `auth`, where another host may know it. */
  readonly silence?: (pskId: string) => SecLlamaError | undefined;
  /** Told of each request that is answered with an error here. */
  readonly onRefused?: (code: ErrorCode) => void;
  /** Called with each psk_id whose key was proved. */
  readonly onProven?: (pskId: string) => void;
  /** False on loopback: whoever gives no proof, or a wrong one, is answered all the same. Default: true. */
  readonly required?: boolean;
  /** Unix ms. */
  readonly now?: () => number;
}

/** What a handler learns. */
export interface ProofEnv {
  Variables: {
    /** The psk_id whose key this request proved; undefined: none. */
    proven?: string;
  };
}

export class ProofGate {
  readonly #options: ProofGateOptions;
  readonly #now: () => number;
  /** Proofs from before this process are refused: their nonces are forgotten. */
  readonly #startedMs: number;

  constructor(options: ProofGateOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#startedMs = this.#now();
  }

  /**
   * Checks one proof, once. Gives the psk_id whose key it proves.
   * @throws {SecLlamaError} `auth` for none, a stranger's, a wrong or a used one; `clock` for an honest one whose time is off;
   * `rate-limited` if too many of one client's are remembered; `fleet-silent`.
   */
  async check(value: string | null, request: ProvenRequest): Promise<string> {
    const proof = value === null ? undefined : parseProof(value);
    const host = proof && await this.#options.proofKey(proof.pskId);
    if (proof === undefined) throw refused();
    if (host === undefined) throw this.#options.silence?.(proof.pskId) ?? refused();
    using _wiped = secret(host.key);
    if (proof.hid !== undefined && !equalConstantTime(proof.hid, host.hid)) {
      const { pskId, hid } = proof;
      const better = this.#options.place?.({ pskId, target: request.target, hid: toHex(hid) });
      throw new OtherHost(better ?? runnerName(toHex(host.hid), this.#options.label?.() ?? ""));
    }
    if (!verifyProof(proof, request, host)) throw refused();
    const now = this.#now();
    if (Math.abs(proof.time - now) > PROOF_SKEW_MS || proof.time < this.#startedMs) {
      throw new SecLlamaError("clock", "the proof's time is too far from the gateway's clock", {
        hint: `use the time of the answer's header ${NOW_HEADER}`,
      });
    }
    const taken = this.#options.nonces.take(proof.pskId, proof.nonce, now);
    if (taken === "used") throw refused();
    if (taken === "full") throw new SecLlamaError("rate-limited", "this client asks too often");
    this.#options.onProven?.(proof.pskId);
    return proof.pskId;
  }

  /** The gateway's first middleware. */
  middleware(): MiddlewareHandler<ProofEnv> {
    return this.#options.required === false ? this.#optional() : this.#required();
  }

  /** Only notes who has proved a key; a wrong proof is none. */
  #optional(): MiddlewareHandler<ProofEnv> {
    return async (c, next) => {
      const { raw } = c.req;
      const header = raw.headers.get(PROOF_HEADER);
      if (header !== null && (raw.method === "GET" || isMetadata(raw.method, pathOf(raw)))) {
        const body = await collect(raw.body, most(raw));
        c.req.raw = withBody(raw, body);
        try {
          c.set("proven", await this.check(header, provenRequest(raw, body)));
        } catch (error) {
          if (!(error instanceof SecLlamaError)) throw error;
        }
      }
      await next();
    };
  }

  #required(): MiddlewareHandler<ProofEnv> {
    return async (c, next) => {
      const { raw } = c.req;
      const url = new URL(raw.url);
      // That somebody is there, which version, and sealed requests, which prove themselves.
      const route = routeOf(url.pathname);
      if (route?.open && takes(route, raw.method)) return await next();
      try {
        // Nothing of a stranger's body is read before its header looks like a proof.
        const header = raw.headers.get(PROOF_HEADER);
        if (header === null || parseProof(header) === undefined) throw refused();
        const body = await collect(raw.body, most(raw));
        c.set("proven", await this.check(header, provenRequest(raw, body)));
        c.req.raw = withBody(raw, body);
      } catch (error) {
        if (!(error instanceof SecLlamaError)) throw error;
        this.#options.onRefused?.(error.code);
        const response = errorResponse(error, url.pathname, raw.method);
        if (error instanceof OtherHost) response.headers.set(HOST_HEADER, error.host);
        if (error.code === "clock") response.headers.set(NOW_HEADER, String(this.#now()));
        return response;
      }
      return await next();
    };
  }
}

function pathOf(request: Request): string {
  return new URL(request.url).pathname;
}

/** Most bytes of a body that a proof is for. */
function most(request: Request): number {
  return Math.min(bodyLimit(request.method, pathOf(request)), MAX_BODY);
}

function provenRequest({ method, url }: Request, body: Uint8Array): ProvenRequest {
  const { pathname, search } = new URL(url);
  return { method, target: pathname + search, body };
}

/** The request again, whose body was read. */
function withBody(request: Request, body: Bytes): Request {
  if (body.length === 0) return request;
  const { url, method, headers, signal } = request;
  return new Request(url, { method, headers, body, signal });
}

/**
 * The proof is for another host of the fleet, so this one has no key that could check it. Whoever names a client's psk_id learns
 * this host's label and id by it, and that the psk_id exists: what a balancer sees too (SECURITY.md).
 */
export class OtherHost extends SecLlamaError {
  constructor(readonly host: string) {
    super("other-host", "the proof is for another host of the fleet", {
      hint: `make it for the host that the answer's header ${HOST_HEADER} names`,
    });
  }
}

function refused(): SecLlamaError {
  return new SecLlamaError("auth", "this gateway answers paired clients only", {
    hint: "pair this machine: on the host, run: secllama pair NAME",
  });
}
