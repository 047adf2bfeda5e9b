import assert from "node:assert/strict";
import { host, otlpCollector, syslogServer } from "./field_values.ts";

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

Deno.test("settings: a collector is over TLS, or of this machine, and its address has no secret", () => {
  assert.equal(
    otlpCollector("https://logs.example:4318", "S"),
    "https://logs.example:4318/v1/logs",
  );
  assert.equal(otlpCollector("http://127.0.0.1:4318/x", "S"), "http://127.0.0.1:4318/x");
  assert.equal(otlpCollector("http://[::1]:4318", "S"), "http://[::1]:4318/v1/logs");
  assert.equal(otlpCollector("", "S"), "");
  for (
    const text of [
      "http://logs.example:4318",
      "http://10.0.0.1",
      "grpc://127.0.0.1:4317",
      "https://a:b@logs.example",
      "https://logs.example/?key=1",
      "logs.example",
    ]
  ) assert.throws(() => otlpCollector(text, "S"), { code: "bad-config" }, text);
});

Deno.test("settings: a host is a name or an address alone, of IPv6 in brackets or not", () => {
  assert.equal(host("gpu-1.lan", "S"), "gpu-1.lan");
  assert.equal(host("::1", "S"), "::1");
  assert.equal(host("[2001:db8::7]", "S"), "2001:db8::7");
  for (
    const text of [
      "http://127.0.0.1",
      "127.0.0.1/",
      "127.0.0.1:80",
      "[::1]:80",
      "[::1",
      "[gpu]",
      "a b",
      "*",
      "",
    ]
  ) assert.throws(() => host(text, "S"), { code: "bad-config" }, text);
});
