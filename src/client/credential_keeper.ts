/**
 * Which pre-shared key a client uses, and when it takes up another. The host alone can make a new one; a runner that carries it
 * can only keep it back. The old one is kept until the new one has opened a reply, and tried again where the new one is refused:
 * so no answer, whoever made it, leaves a client without a key that its host takes.
 */
import { openRenewal } from "../sealed/renewal.ts";
import { parsePskId } from "../sealed/psk.ts";
import type { Credentials, Psk, SealedFetchOptions } from "./options.ts";
import { samePsk } from "./proven.ts";

type Options = Pick<SealedFetchOptions, "credentials" | "renewed">;

export class CredentialKeeper {
  readonly #options: Options;
  #known: Credentials | undefined;

  constructor(options: Options) {
    this.#options = options;
  }

  /**
   * The credentials to try for one request, one after another while each is refused: the newest, the one before it, and what is
   * stored by now if that is another. Undefined once there are no more; the first is always there.
   */
  attempts(): { next(): Promise<Credentials | undefined> } {
    const refused: Psk[] = [];
    let readAgain = false;
    const fresh = () =>
      candidates(this.#known!).find((one) => !refused.some((other) => samePsk(one, other)));
    return {
      next: async () => {
        const first = this.#known === undefined;
        this.#known ??= await this.#options.credentials();
        let next = fresh();
        if (next === undefined && !readAgain && !first) {
          readAgain = true;
          this.#known = await this.#options.credentials();
          next = fresh();
        }
        if (next !== undefined) refused.push(next);
        return next;
      },
    };
  }

  /**
   * A reply to a request under `used` was opened.
   * @param gen How often the host had changed its keys when it vouched for the runner: an older renewal is of no use.
   * @param sealed The renewal that the reply carried.
   */
  async opened(used: Credentials, gen: number, sealed: Uint8Array | undefined): Promise<void> {
    const before = this.#known;
    if (before === undefined) return;
    let next = before;
    if (before.previous !== undefined && samePsk(used, before)) {
      const { previous: _, ...settled } = before;
      next = settled;
    }
    const renewal = sealed && await openRenewal(sealed, used.psk, used.hid);
    if (
      renewal && renewal.gen >= gen && this.#options.renewed !== undefined &&
      sameClient(used.pskId, renewal.pskId) && !samePsk(renewal, before)
    ) {
      const { pskId, psk } = used;
      next = {
        ...ofHost(used),
        pskId: renewal.pskId,
        psk: renewal.psk,
        previous: { pskId, psk },
      };
    }
    if (next === before) return;
    try {
      // Stored before it is used: once the host has seen the new one, the old one is good for nothing.
      await this.#options.renewed?.(next);
    } catch {
      return; // what is stored goes on, and the next reply brings it again
    }
    if (this.#known === before) this.#known = next;
  }
}

/** Newest first. */
function candidates({ psk, pskId, previous, ...rest }: Credentials): Credentials[] {
  const host = ofHost(rest);
  return [{ psk, pskId, ...host }, ...(previous ? [{ ...previous, ...host }] : [])];
}

/** What says whom a key is for. */
function ofHost({ hid, issuer }: Pick<Credentials, "hid" | "issuer">) {
  return issuer === undefined ? { hid } : { hid, issuer };
}

/** Whether two psk_ids are of one paired client: `client.<kid>.<id>` with the same id. */
function sameClient(a: string, b: string): boolean {
  const client = (pskId: string) => parsePskId(pskId)?.client;
  return client(a) !== undefined && client(a) === client(b);
}
