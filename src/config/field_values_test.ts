import assert from "node:assert/strict";
import { syslogServer } from "./field_values.ts";

Deno.test("settings: a syslog server is over TLS, or of this machine", () => {
  assert.deepEqual(syslogServer("tls://logs.example", "S"), {
    tls: true,
    hostname: "logs.example",
    port: 6514,
  });
  assert.deepEqual(syslogServer("tcp://[::1]:1514", "S"), {
    tls: false,
    hostname: "::1",
    port: 1514,
  });
  assert.equal(syslogServer("", "S"), null);
  for (
    const text of [
      "tcp://logs.example:514",
      "tcp://10.0.0.1",
      "udp://127.0.0.1",
      "tls://",
      "tls://a:0",
      "tls://a:99999",
      "logs.example",
    ]
  ) assert.throws(() => syslogServer(text, "S"), { code: "bad-config" }, text);
});
