/**
 * A client of a fleet that asks each host by itself, again and again, as a program that runs on a machine of its own:
 * `host_watch.ts CA HOST…`, the pairing on standard input. It prints a line each time that a host treats it otherwise: that it is
 * answered, that it is given a newer key, that it is nobody's.
 */
import { parsePairing } from "../../src/client/mod.ts";
import { sealedFetch } from "../../src/client/sealed_fetch.ts";

/** A line of it. */
export interface Seen {
  readonly host: string;
  /** `answered`, `refused`, or the id of the newer key. */
  readonly what: string;
  /** Unix ms. */
  readonly at: number;
}

if (import.meta.main) {
  const [ca, ...hosts] = Deno.args as [string, ...string[]];
  const caCerts = [await Deno.readTextFile(ca)];
  const pairing = parsePairing((await new Response(Deno.stdin.readable).text()).trim());
  const { hostname } = new URL(pairing.url);
  // The name is the balancer's, which each host is asked by.
  const client = Deno.createHttpClient({ caCerts, allowHost: true });
  await Promise.all(hosts.map(async (host) => {
    let last: string | undefined;
    const seen = (what: string) => {
      if (what !== last) console.log(JSON.stringify({ host, what, at: Date.now() }));
      last = what;
    };
    const asked: typeof fetch = (input, init) => {
      const headers = new Headers(init?.headers);
      headers.set("host", hostname);
      return fetch(input, { ...init, headers, client });
    };
    for (;;) {
      let newer: string | undefined;
      const ask = sealedFetch({
        ...{ gateway: `https://${host}:11435`, fetch: asked, suite: 2 },
        credentials: () => Promise.resolve(pairing),
        renewed: ({ pskId }) => Promise.resolve(void (newer = pskId)),
      });
      try {
        const answer = await ask("/api/generate", {
          method: "POST",
          body: JSON.stringify({
            ...{ model: "demo", prompt: "Hello", stream: false },
            options: { num_predict: 1 },
          }),
        });
        await answer.text();
        seen(newer ?? "answered");
      } catch (error) {
        const { code } = error as { code?: string };
        if (code === "auth") seen("refused");
      } finally {
        ask.close();
      }
    }
  }));
}
