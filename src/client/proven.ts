/** Requests that are not sealed and prove who asks: key documents and metadata. */
import { equalConstantTime } from "../bytes.ts";
import { makeProof, NOW_HEADER, PROOF_HEADER } from "../sealed/proof.ts";
import type { Credentials, Psk, Transport } from "./options.ts";

/** A request that is not sealed, and that a proof goes with. */
export interface ProvenInit {
  /** Default GET. */
  readonly method?: string;
  /** Default none. The proof covers it. */
  readonly body?: Uint8Array;
  /** Besides the proof. */
  readonly headers?: { readonly [name: string]: string };
  /** Aborted: the request is given up. */
  readonly signal?: AbortSignal;
}

/** Sends with a proof, and once more if the gateway's clock is another. */
export class ProvenSender {
  readonly #transport: Transport;
  /** The gateway's clock minus ours, ms, as its last 425 said. */
  #offsetMs = 0;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** @throws {SecLlamaError} `gateway-unreachable`. Any answer is returned, refusals too. */
  async send(url: URL, credentials: Credentials, init: ProvenInit = {}): Promise<Response> {
    const first = await this.#once(url, credentials, init);
    const theirs = first.headers.get(NOW_HEADER);
    if (first.status !== 425 || theirs === null || !/^\d{1,15}$/.test(theirs)) return first;
    await first.body?.cancel();
    this.#offsetMs = Number(theirs) - this.#transport.now();
    return await this.#once(url, credentials, init);
  }

  #once(url: URL, credentials: Credentials, init: ProvenInit): Promise<Response> {
    const { method = "GET", body = new Uint8Array(0), headers, signal } = init;
    const target = url.pathname + url.search;
    const now = Math.max(0, Math.round(this.#transport.now() + this.#offsetMs));
    const { psk, pskId, hid } = credentials;
    const proof = makeProof({ method, target, body }, { psk, pskId, hid, now });
    return this.#transport.send(url, {
      method,
      headers: { ...headers, [PROOF_HEADER]: proof },
      ...(body.length > 0 ? { body: body as Uint8Array<ArrayBuffer> } : {}),
      ...(signal ? { signal } : {}),
    });
  }
}

/** Whether both are the same key under the same name. */
export function samePsk(a: Psk, b: Psk): boolean {
  return a.pskId === b.pskId && equalConstantTime(a.psk, b.psk);
}
