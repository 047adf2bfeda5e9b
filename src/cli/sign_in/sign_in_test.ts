/** Beginning to sign in at what may be no gateway, or one that lies. */
import assert from "node:assert/strict";
import { SecLlamaError } from "../../errors.ts";
import { newSignIn } from "./sign_in.ts";

Deno.test("sign-in: what is no gateway, or names no provider, is said so; one that hangs is broken off", async () => {
  let answer: () => Response | Promise<Response> = () => new Response();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => answer());
  const gateway = new URL(`http://127.0.0.1:${server.addr.port}`);
  const stop = new AbortController();
  const begin = () => newSignIn(gateway, undefined, stop.signal);
  const said = (promise: Promise<unknown>) =>
    promise.then(() => "ok", (error) => {
      assert.ok(error instanceof SecLlamaError, String(error));
      return error.code;
    });
  const whole = { issuer: "https://idp.example", client_id: "a", scope: "openid" };
  try {
    const none = {
      "a page": () => new Response("<html>", { headers: { "content-type": "text/html" } }),
      nothing: () => new Response(""),
      "half of it": () => new Response(JSON.stringify(whole).slice(0, 20)),
      null: () => Response.json(null),
      "a number": () => Response.json(5),
      "a list": () => Response.json([whole]),
      "other kinds": () => Response.json({ ...whole, issuer: {} }),
      "no address": () => Response.json({ ...whole, issuer: "idp" }),
      "in the clear": () => Response.json({ ...whole, issuer: "http://192.0.2.1" }),
      "a file": () => Response.json({ ...whole, issuer: "file:///etc/passwd" }),
    };
    for (const [name, one] of Object.entries(none)) {
      answer = one;
      assert.equal(await said(begin()), "downgrade", name);
    }
    const strangers = {
      "elsewhere": () => new Response(null, { status: 302, headers: { location: "/elsewhere" } }),
      "a page that is not there": () => new Response("<html>", { status: 404 }),
      "a balancer": () => new Response("bad gateway", { status: 502 }),
      "one that asks who one is": () => Response.json({ error: "who are you?" }, { status: 401 }),
      "codes of another": () => Response.json({ error: "no", code: "E404" }, { status: 404 }),
    };
    for (const [name, one] of Object.entries(strangers)) {
      answer = one;
      assert.equal(await said(begin()), "gateway-unreachable", name);
    }
    answer = () => Response.json({ error: "none here", code: "not-found" }, { status: 404 });
    assert.equal(await said(begin()), "not-found", "a gateway where nobody can sign in");
    answer = () => Response.json(whole);
    const signIn = await begin();
    for (
      const one of [null, 5, [], {}, { sealed: "AAAA", name: "a", role: "b", expires: 5 }, {
        sealed: "AAAA",
        name: "a",
        role: "b",
        expires: "c",
      }]
    ) {
      answer = () => Response.json(one);
      assert.equal(await said(signIn.redeem("a token")), "downgrade", JSON.stringify(one));
    }
    const asked = Promise.withResolvers<void>();
    const held = Promise.withResolvers<Response>();
    answer = () => (asked.resolve(), held.promise);
    const hangs = said(begin());
    await asked.promise;
    stop.abort();
    assert.equal(await hangs, "cancelled");
    held.resolve(new Response());
  } finally {
    await server.shutdown();
  }
});
