/** Where the proxy may listen beyond loopback, and what is not silently otherwise. */
import assert from "node:assert/strict";
import { loadConfig } from "../config/config.ts";
import { checkProxyListen } from "./proxy_listener.ts";

Deno.test("proxy: beyond loopback a token is asked for; who says that it is not is told", () => {
  const check = (env: Record<string, string>) => checkProxyListen(loadConfig({ env }));
  const tls = { SECLLAMA_TLS_CERT: "/c.pem", SECLLAMA_TLS_KEY: "/k.pem" };
  const places: Record<string, string>[] = [
    { SECLLAMA_PROXY_LISTEN: "unix:/run/secllama.sock" },
    { SECLLAMA_PROXY_LISTEN: "192.0.2.1:11434", ...tls },
  ];
  for (const place of places) {
    check(place);
    check({ ...place, SECLLAMA_REQUIRE_TOKEN: "true" });
    assert.throws(() => check({ ...place, SECLLAMA_REQUIRE_TOKEN: "false" }), {
      code: "bad-config",
      field: "SECLLAMA_REQUIRE_TOKEN",
    });
  }
  check({ SECLLAMA_REQUIRE_TOKEN: "false" });
  assert.throws(() => check({ SECLLAMA_PROXY_LISTEN: "192.0.2.1:11434" }), {
    code: "remote-refused",
  });
});
