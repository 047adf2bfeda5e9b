/** Requests that are not sealed and prove who asks: key documents and metadata. */
import { RUNNER_HEADER, runnerName } from "../api/runner_name.ts";
import { equalConstantTime, fromHex, toHex } from "../bytes.ts";
import { HOST_HEADER } from "../sealed/member.ts";
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

/** Answers that say what was wrong, at most, for one request: a balancer may send each try to another host. */
const MAX_LEARNT = 4;
/** Of no runner: for balancers, which go by the label before it. */
const NO_RUNNER = "0000000000000000";

/** Sends with a proof, and again if the gateway's clock is another, or the host of a fleet that was reached. */
export class ProvenSender {
  readonly #transport: Transport;
  /** The gateway's clock minus ours, ms, as its last 425 said. */
  #offsetMs = 0;
  /** Of a fleet: the host that answered last, as it said. A liar gets a proof that is good at the host that it named. */
  #host: { readonly hid: Uint8Array; readonly label: string } | undefined;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** @throws {SecLlamaError} `gateway-unreachable`. Any answer is returned, refusals too. */
  async send(url: URL, credentials: Credentials, init: ProvenInit = {}): Promise<Response> {
    let hasClock = false;
    for (let learnt = 0;; learnt++) {
      const answer = await this.#once(url, credentials, init);
      if (learnt === MAX_LEARNT) return answer;
      const isClock = answer.status === 425 && !hasClock;
      if (isClock && this.#learnClock(answer)) hasClock = true;
      else if (
        answer.status !== 421 || credentials.issuer === undefined || !this.#learnHost(answer)
      ) return answer;
      await answer.body?.cancel();
    }
  }

  #learnClock({ headers }: Response): boolean {
    const theirs = headers.get(NOW_HEADER);
    if (theirs === null || !/^\d{1,15}$/.test(theirs)) return false;
    this.#offsetMs = Number(theirs) - this.#transport.now();
    return true;
  }

  #learnHost({ headers }: Response): boolean {
    const [, label, hid] = /^(?:([a-z0-9-]{1,63})\.)?([0-9a-f]{32})$/
      .exec(headers.get(HOST_HEADER) ?? "") ?? [];
    if (hid === undefined || this.#host !== undefined && toHex(this.#host.hid) === hid) {
      return false;
    }
    this.#host = { hid: fromHex(hid), label: label ?? "" };
    return true;
  }

  #once(url: URL, credentials: Credentials, init: ProvenInit): Promise<Response> {
    const { method = "GET", body = new Uint8Array(0), headers, signal } = init;
    const target = url.pathname + url.search;
    const now = Math.max(0, Math.round(this.#transport.now() + this.#offsetMs));
    const { psk, pskId, issuer } = credentials;
    const named = issuer !== undefined;
    const host = named ? this.#host : undefined;
    const hid = host?.hid ?? credentials.hid;
    const proof = makeProof({ method, target, body }, { psk, pskId, hid, now, named });
    return this.#transport.send(url, {
      method,
      headers: {
        ...headers,
        [PROOF_HEADER]: proof,
        // So that a balancer sends it to the host that the proof is for.
        ...(host && host.label !== "" && { [RUNNER_HEADER]: runnerName(NO_RUNNER, host.label) }),
      },
      ...(body.length > 0 ? { body: body as Uint8Array<ArrayBuffer> } : {}),
      ...(signal ? { signal } : {}),
    });
  }
}

/** Whether both are the same key under the same name. */
export function samePsk(a: Psk, b: Psk): boolean {
  return a.pskId === b.pskId && equalConstantTime(a.psk, b.psk);
}
