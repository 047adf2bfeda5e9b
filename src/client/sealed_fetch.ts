/**
 * A `fetch` that seals: each request goes to one gateway as sealed/1, and the reply's body streams as it verifies.
 *
 * Uses nothing but web standards and `src/sealed`. It never falls back to plaintext: an answer that is not sealed is an
 * error, and errors are thrown as {@link SecLlamaError}, while what the application says, errors included, is a
 * `Response`.
 */
import { SecLlamaError } from "../errors.ts";
import { APP_HEADER, LIMITS_HEADER } from "../api/limits.ts";
import { SEALED_TYPE } from "../api/media_types.ts";
import { ROUTES } from "../api/routes.ts";
import { RUNNER_HEADER } from "../api/runner_name.ts";
import { sealRequest } from "../sealed/sender.ts";
import { CredentialKeeper } from "./credential_keeper.ts";
import { KeyCache, type RunnerKey } from "./keys.ts";
import { type Credentials, makeTransport, type SealedFetchOptions } from "./options.ts";
import { type ProvenInit, ProvenSender } from "./proven.ts";
import { receiptHeaders } from "./receipts.ts";
import { GatewayRefusal, readRefusal } from "./refusal.ts";
import { openReply } from "./reply.ts";
import { Retries } from "./retries.ts";
import { type Snapshot, takeSnapshot } from "./snapshot.ts";

const MEDIA_TYPE = SEALED_TYPE.split(";")[0]!;

/** Usable wherever a `fetch` is. */
export interface SealedFetch {
  (input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
  /**
   * Asks the gateway itself, unsealed, for what is no conversation (`api/tags`, `v1/models`), with a proof of who asks.
   * @throws {SecLlamaError} `gateway-unreachable`.
   */
  metadata(path: string, init?: ProvenInit): Promise<Response>;
  /** The headers of the gateway's newest answer of any kind, as they came outside of the seal: its own word on itself. */
  outer(): Headers | undefined;
  /** Lets go of the connections made for `caCerts`; without those there is nothing to do. */
  close(): void;
}

/**
 * Makes a sealed fetch.
 *
 * It throws {@link SecLlamaError} with the gateway's code (`auth`, `busy`, `model-not-found`, …), `gateway-unreachable`,
 * `downgrade` for an answer that is not sealed, and `truncated` for a reply without its end. What fails before the reply's
 * first frame is tried again with what recovers it: other credentials after 401, else the key document fetched and the request
 * sealed again, as {@link Retries} says. Nothing is tried again once a frame of the reply has verified.
 *
 * @example
 * ```ts
 * async function ask(options: Parameters<typeof sealedFetch>[0]): Promise<string> {
 *   const fetch = sealedFetch(options);
 *   const body = JSON.stringify({ model: "demo", prompt: "Hello", stream: false });
 *   const answer = await fetch("http://gateway/api/generate", { method: "POST", body });
 *   return (await answer.json()).response;
 * }
 * ```
 * @throws {SecLlamaError} `bad-config` if an option is wrong.
 */
export function sealedFetch(options: SealedFetchOptions): SealedFetch {
  let newest: Headers | undefined;
  const given = makeTransport(options);
  const transport: typeof given = {
    ...given,
    send: async (...args) => {
      const response = await given.send(...args);
      newest = response.headers;
      return response;
    },
  };
  const sender = new ProvenSender(transport);
  const keys = new KeyCache(transport, sender);
  const keeper = new CredentialKeeper(options);

  async function exchange(request: Snapshot): Promise<Response> {
    const { model, contextLength, signal } = request;
    const attempts = keeper.attempts();
    const retries = new Retries(signal);
    let credentials = (await attempts.next())!;
    while (true) {
      let key: RunnerKey | undefined;
      let opened = false;
      try {
        key = await keys.get(model, credentials, { contextLength, signal });
        return await once(request, credentials, key, () => opened = true);
      } catch (error) {
        if (opened) throw error;
        const thrown = error instanceof GatewayRefusal ? error.error : error;
        if (error instanceof GatewayRefusal && error.error.code === "auth") {
          const next = await attempts.next();
          if (next === undefined) throw thrown;
          credentials = next;
          continue;
        }
        const again = await retries.after(error, key !== undefined);
        if (again === undefined) throw thrown;
        if (again === "another-key" && key !== undefined) keys.forget(model, credentials, key);
      }
    }
  }

  async function once(
    request: Snapshot,
    credentials: Credentials,
    key: RunnerKey,
    onOpened: () => void,
  ): Promise<Response> {
    const { signal, method } = request;
    signal.throwIfAborted();
    const sealed = await sealRequest(key, {
      pskId: credentials.pskId,
      method,
      path: request.path,
      headers: request.headers,
      body: request.body,
      now: transport.now(),
    });
    const response = await transport.send(transport.url(ROUTES.sealedRequest.path), {
      method: "POST",
      headers: {
        "content-type": SEALED_TYPE,
        "accept": MEDIA_TYPE,
        [RUNNER_HEADER]: key.runner,
        ...(request.app === undefined ? {} : { [APP_HEADER]: request.app }),
      },
      body: sealed.body,
      signal,
    });
    if (!response.ok) throw await readRefusal(response);
    const type = response.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
    if (type !== MEDIA_TYPE || response.body === null) {
      await response.body?.cancel();
      throw new SecLlamaError(
        "downgrade",
        "the gateway answered with something that is not sealed",
        {
          hint: "do not send anything to this gateway until you know why",
        },
      );
    }
    const limits = response.headers.get(LIMITS_HEADER);
    return await openReply(response.body, sealed.reply, {
      method,
      signal,
      // The gateway's word, whatever the runner says.
      outer: {
        ...(limits === null ? {} : { [LIMITS_HEADER]: limits }),
        ...await receiptHeaders(request.receipt),
      },
      onOpened: (renewal) => {
        onOpened();
        return keeper.opened(credentials, key.gen, renewal);
      },
    });
  }

  const call = async (input: RequestInfo | URL, init?: RequestInit) =>
    await exchange(await takeSnapshot(input, init, options.model));
  const metadata = async (path: string, init?: ProvenInit) => {
    const attempts = keeper.attempts();
    let response: Response | undefined;
    for (let next = await attempts.next(); next; next = await attempts.next()) {
      await response?.body?.cancel();
      response = await sender.send(transport.url(path), next, init);
      if (response.status !== 401) break;
    }
    return response!;
  };
  return Object.assign(call, { metadata, outer: () => newest, close: transport.close });
}
