/** Metrics as a real Prometheus reads them, and what `/readyz` says while the audit log cannot be written. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { chat, newHome, ROOT, startServe } from "../support/serve.ts";
import { HANG_MS, until } from "../support/patience.ts";

const hasPrometheus = await Deno.stat("/usr/bin/promtool").then(() => true, () => false);
if (!hasPrometheus) {
  console.log("skipped: metrics read by Prometheus: Debian's prometheus is not installed");
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

Deno.test({
  name:
    "metrics: promtool and a real Prometheus read them; ready means that a request would be answered",
  ignore: !hasPrometheus,
  async fn() {
    const { home, env: base } = await newHome();
    const data = join(home, "data");
    const [port, promPort] = [freePort(), freePort()];
    const env = {
      ...base,
      SECLLAMA_KEY: `sl1:${crypto.getRandomValues(new Uint8Array(32)).toBase64()}`,
      SECLLAMA_DATA_DIR: data,
      XDG_STATE_HOME: join(home, "state"),
      SECLLAMA_AUDIT: "on",
      SECLLAMA_METRICS_PORT: String(port),
    };
    const served = await startServe({ args: [], env });
    const url = `http://127.0.0.1:${port}`;
    let prometheus: Deno.ChildProcess | undefined;
    try {
      assert.equal((await chat(served.proxyUrl, "What is network isolation?")).status, 200);
      const text = await (await fetch(`${url}/metrics`)).text();
      const promtool = new Deno.Command("/usr/bin/promtool", {
        args: ["check", "metrics"],
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const writer = promtool.stdin.getWriter();
      await writer.write(new TextEncoder().encode(text));
      await writer.close();
      const { code, stderr } = await promtool.output();
      assert.equal(code, 0, new TextDecoder().decode(stderr) + text);
      assert.match(
        text,
        /secllama_exchanges_total\{model="demo:latest",kind="sealed",result="answered"\} 1/,
      );
      for (
        const said of [
          /secllama_first_token_seconds_count\{model="demo:latest"\} 1/,
          /secllama_token_seconds_count\{model="demo:latest"\} 1/,
          /secllama_model_loads_total\{model="demo:latest",result="loaded"\} 1/,
          /secllama_model_load_seconds_count\{model="demo:latest"\} 1/,
          /secllama_queued_exchanges\{model="demo:latest"\} 0/,
          /secllama_load_waiting 0/,
          /secllama_isolation_level\{model="demo:latest",level="strict"\} 1/,
          /secllama_audit_lines [1-9]/,
          /secllama_audit_lag_lines\{to="head"\} \d/,
          /secllama_key_age_seconds/,
        ]
      ) assert.match(text, said);
      assert.match(text, /secllama_isolation_strict\{model="demo:latest"\} 1/);

      const dashboard = await Deno.readTextFile(join(ROOT, "packaging/grafana/secllama.json"));
      const named = new Set(dashboard.match(/secllama_[a-z_]+/g)!);
      assert.ok(named.size >= 15);
      for (const name of named) assert.ok(text.includes(name), `${name} is no metric of ours`);

      const config = join(home, "prometheus.yml");
      await Deno.writeTextFile(
        config,
        `global: {scrape_interval: 3s}\nscrape_configs: [{job_name: secllama, static_configs: [{targets: ["127.0.0.1:${port}"]}]}]\n`,
      );
      prometheus = new Deno.Command("/usr/bin/prometheus", {
        args: [
          `--config.file=${config}`,
          `--storage.tsdb.path=${join(home, "tsdb")}`,
          `--web.listen-address=127.0.0.1:${promPort}`,
        ],
        stdout: "null",
        stderr: "null",
      }).spawn();
      await until(async () => {
        const query = `http://127.0.0.1:${promPort}/api/v1/query?query=secllama_exchanges_total`;
        const found = await fetch(query).then((answer) => answer.json()).catch(() => undefined);
        return found?.data?.result?.[0]?.value?.[1] === "1";
      }, "Prometheus has the sample");

      assert.equal(await (await fetch(`${url}/healthz`)).text(), "ok\n");
      assert.equal((await fetch(`${url}/readyz`)).status, 200);
      // The host may be signing a head just now.
      const lock = new DatabaseSync(join(data, "audit.db"), { timeout: HANG_MS });
      lock.exec("BEGIN IMMEDIATE");
      try {
        await chat(served.proxyUrl, "hello").catch(() => {});
        const ready = await fetch(`${url}/readyz`);
        assert.equal(ready.status, 503);
        assert.match(await ready.text(), /^audit: audit-failed/);
        assert.equal((await fetch(`${url}/healthz`)).status, 200);
      } finally {
        lock.exec("ROLLBACK");
        lock.close();
      }
      const again = await fetch(`${url}/readyz`);
      assert.equal(await again.text(), "ready\n");
      assert.equal((await fetch(`${url}/api/chat`, { method: "POST" })).status, 405);
    } finally {
      if (prometheus) {
        prometheus.kill("SIGTERM");
        await prometheus.status;
      }
      await served.stop();
      await Deno.remove(home, { recursive: true });
    }
  },
});
