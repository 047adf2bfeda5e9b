/**
 * A client of a fleet that asks each host by itself, again and again, as a program that runs on a machine of its own:
 * `host_watch.ts CA HOST…`, the pairing on standard input. It prints a line each time that a host treats it otherwise: that it is
 * answered, that it is answered under a newer key, that it is nobody's. The newer key comes from whichever host the balancer
 * chooses; that a host knows it is then seen at that host, since a sealed request would be sent on to another one.
 */
import { ROUTES } from "../../src/api/routes.ts";
import { parsePairing } from "../../src/client/mod.ts";
import type { Credentials } from "../../src/client/options.ts";
import { sealedFetch } from "../../src/client/sealed_fetch.ts";

/** A line of it. */
export interface Seen {
  readonly host: string;
  /** `answered`, `refused`, or the id of the newer key. */
  readonly what: string;
  /** Unix ms. */
  readonly at: number;
}

/** Between two rounds, so that the hosts have time for others, ms. */
const PAUSE_MS = 20;

if (import.meta.main) {
  const [ca, ...hosts] = Deno.args as [string, ...string[]];
  const pairing = parsePairing((await new Response(Deno.stdin.readable).text()).trim());
  const { hostname } = new URL(pairing.url);
  // The name is the balancer's, which each host is asked by.
  const client = Deno.createHttpClient({ caCerts: [await Deno.readTextFile(ca)], allowHost: true });
  const asked: typeof fetch = (input, init) => {
    const headers = new Headers(init?.headers);
    headers.set("host", hostname);
    return fetch(input, { ...init, headers, client });
  };
  const pause = () => new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  let newer: Credentials | undefined;
  void (async () => {
    const { url, certificate } = pairing;
    for (;;) {
      const ask = sealedFetch({
        ...{ gateway: url, suite: 2, credentials: () => Promise.resolve(pairing) },
        ...(certificate !== undefined && { caCerts: [certificate] }),
        renewed: ({ pskId, psk, hid, issuer }) => {
          newer = { pskId, psk, hid, ...(issuer !== undefined && { issuer }) };
          return Promise.resolve();
        },
      });
      try {
        const body = { model: "demo", prompt: "Hi", stream: false, options: { num_predict: 1 } };
        const init = { method: "POST", body: JSON.stringify(body) };
        await (await ask("/api/generate", init)).text();
      } catch { /* It asks again; who is refused is seen at each host. */ }
      ask.close();
      await pause();
    }
  })();
  await Promise.all(hosts.map(async (host) => {
    let last: string | undefined;
    /** What the host says to who comes with these. */
    const statusFor = async (credentials: Credentials) => {
      const ask = sealedFetch({
        ...{ gateway: `https://${host}:11435`, fetch: asked },
        credentials: () => Promise.resolve(credentials),
      });
      const answer = await ask.metadata(ROUTES.tags.path).catch(() => undefined);
      await answer?.body?.cancel();
      return answer?.status;
    };
    for (;; await pause()) {
      const newest = newer;
      const status = await statusFor(pairing);
      let what = status === 401 ? "refused" : status === 200 ? "answered" : last;
      if (what === "answered" && newest && await statusFor(newest) === 200) what = newest.pskId;
      if (what === undefined || what === last) continue;
      last = what;
      console.log(JSON.stringify({ host, what, at: Date.now() }));
    }
  }));
}
