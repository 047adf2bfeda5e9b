/** The audit log's lines at a real rsyslog: all of them, in their order, also those of the time when it was away. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { SyslogSink } from "../../src/audit/mod.ts";
import { withLog } from "../../src/audit/testing.ts";
import { label } from "../../src/log.ts";

const RSYSLOGD = "/usr/sbin/rsyslogd";

async function startServer(folder: string, port: number): Promise<Deno.ChildProcess> {
  const config = join(folder, "rsyslog.conf");
  await Deno.writeTextFile(
    config,
    [
      `global(workDirectory="${folder}" maxMessageSize="16k")`,
      'module(load="imtcp")',
      `template(name="all" type="string" string="%pri% %hostname% %app-name% %msgid% %msg%\\n")`,
      'ruleset(name="in") { action(type="omfile" file="' + join(folder, "got") +
      '" template="all" asyncWriting="off") }',
      `input(type="imtcp" address="127.0.0.1" port="${port}" ruleset="in")`,
      "",
    ].join("\n"),
  );
  return new Deno.Command(RSYSLOGD, {
    args: ["-n", "-f", config, "-i", join(folder, "pid")],
    stdout: "null",
    stderr: "null",
  }).spawn();
}

/** Until every one of the lines has come. */
async function came(folder: string, lines: number): Promise<string[]> {
  const path = join(folder, "got");
  const watcher = Deno.watchFs(folder);
  // The last line may be half written.
  const read = async () => (await Deno.readTextFile(path).catch(() => "")).split("\n").slice(0, -1);
  const numbers = (got: readonly string[]) =>
    new Set(got.map((line) => JSON.parse(line.slice(line.indexOf("{"))).n));
  let got = await read();
  if (numbers(got).size < lines) {
    for await (const _ of watcher) {
      got = await read();
      if (numbers(got).size >= lines) break;
    }
  }
  try {
    watcher.close();
  } catch { /* closed by the loop's end */ }
  return got;
}

Deno.test("syslog: a real rsyslog gets every line in order, and what it missed while it was away", () =>
  withLog(async (rig) => {
    const folder = await Deno.makeTempDir();
    const free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = free.addr;
    free.close();
    // The sink's timers keep no process alive.
    const hold = setInterval(() => {}, 1_000);
    let away = 0;
    const log = await rig.open();
    const sink = () =>
      new SyslogSink({
        dataDir: rig.folder,
        host: "secllama-0707",
        target: { tls: false, hostname: "127.0.0.1", port },
        onAway: () => away++,
      });
    // Nobody is there yet.
    let sending = sink();
    try {
      for (let i = 0; i < 300; i++) {
        await log.record({ event: "exchange", fields: { client: label(`client-${i % 3}`), i } });
      }
      sending.wake();
      let server = await startServer(folder, port);
      try {
        const got = await came(folder, 301);
        assert.match(got[1]!, /^110 secllama-0707 secllama exchange /);
        const first = got.map((line) => JSON.parse(line.slice(line.indexOf("{"))).n);
        assert.deepEqual([...new Set(first)], Array.from({ length: 301 }, (_, n) => n));
        server.kill("SIGTERM");
        await server.status;
        for (let i = 0; i < 20; i++) await log.record({ event: "exchange", fields: { i } });
        sending.wake();
        await sending.close(0);
        assert.ok(away > 0);
        // Another process goes on where that one was.
        server = await startServer(folder, port);
        sending = sink();
        const all = (await came(folder, 321))
          .map((line) => JSON.parse(line.slice(line.indexOf("{"))).n);
        assert.deepEqual([...new Set(all)], Array.from({ length: 321 }, (_, n) => n));
        // It did not begin anew: at most what was not settled came twice.
        assert.ok(all.length < 321 + 220, `${all.length}`);
      } finally {
        server.kill("SIGTERM");
        await server.status;
      }
    } finally {
      clearInterval(hold);
      await sending.close(0);
      await log.close();
      await Deno.remove(folder, { recursive: true });
    }
  }));

Deno.test("syslog: a server that hangs, talks garbage, hangs up or is not there is away, and nothing counts as sent", () =>
  withLog(async (rig) => {
    const log = await rig.open();
    for (let i = 0; i < 5; i++) await log.record({ event: "exchange", fields: { i } });
    const hold = setInterval(() => {}, 1_000);
    const ways: Record<string, (conn: Deno.Conn) => Promise<unknown> | void> = {
      "says nothing": () => {},
      "talks garbage": (conn) => conn.write(new TextEncoder().encode("220 smtp.example hello\r\n")),
      "hangs up": (conn) => conn.close(),
    };
    try {
      for (const [name, act] of [...Object.entries(ways), ["is not there", undefined] as const]) {
        const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
        const { port } = listener.addr as Deno.NetAddr;
        const open: Deno.Conn[] = [];
        const serving = (async () => {
          for await (const conn of listener) {
            open.push(conn);
            void act?.(conn);
          }
        })();
        if (act === undefined) listener.close();
        const away = Promise.withResolvers<unknown>();
        const sink = new SyslogSink({
          dataDir: rig.folder,
          host: "secllama-0707",
          target: { tls: true, hostname: "127.0.0.1", port },
          onAway: away.resolve,
          timeoutMs: 300,
          firstWaitMs: 20,
        });
        assert.ok(await away.promise instanceof Error, name);
        await sink.close(0);
        assert.equal(sink.next, 0, name);
        if (act !== undefined) listener.close();
        await serving;
        for (const conn of open) {
          try {
            conn.close();
          } catch { /* it is */ }
        }
      }
    } finally {
      clearInterval(hold);
      await log.close();
    }
  }));
