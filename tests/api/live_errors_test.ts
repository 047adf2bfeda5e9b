/**
 * Each path × each fault that can occur there × each door of a `serve` with its proxy: whoever answers, the answer has the shape
 * and the words of the path's dialect. Bytes go over sockets, and nothing is made up.
 */
import assert from "node:assert/strict";
import { routes } from "../../src/api/routes.ts";
import { startServe } from "../support/serve.ts";
import { check, FAULTS, pathOf, raw, wanted } from "./error_table.ts";
import { CASES, type Door, isServed, unplaced } from "./fault_cases.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
/** What is found in a head before anything knows its path. */
const OF_THE_LISTENER = ["badHead", "longHead", "host", "origin", "unknownMethod"];
/** Faults that only a runner, a limit or a switch finds: errors_test.ts has them. */
const ELSEWHERE = ["tooMany", "management", "stranger", "slow", "noGateway", "busy", "tooLong"];

Deno.test("errors: every path is placed by what it reads, and every fault has its requests", () => {
  assert.deepEqual(unplaced(), []);
  assert.deepEqual(
    [...Object.keys(CASES), ...ELSEWHERE].toSorted(),
    Object.keys(FAULTS).toSorted(),
  );
});

Deno.test("errors: each fault at each path of gateway and proxy, in the words of its dialect", async () => {
  const served = await startServe({
    args: ["--allow-model-management"],
    env: { SECLLAMA_KEY: `sl1:${crypto.getRandomValues(new Uint8Array(32)).toBase64()}` },
  });
  try {
    const doors: [Door, number][] = [
      ["proxy", Number(new URL(served.proxyUrl).port)],
      ["gateway", Number(new URL(served.gatewayUrl).port)],
    ];
    const asked = new Map<string, number>();
    for (const [door, port] of doors) await checkWhatLetsIn(door, port);
    for (const [index, row] of routes().entries()) {
      for (const [at, [door, port]] of doors.entries()) {
        for (const [name, cases] of Object.entries(CASES)) {
          const fault = name as keyof typeof CASES;
          // Both doors are one listener: a path's head is looked at by one of them, the next path's by the other.
          if (!FULL && OF_THE_LISTENER.includes(fault) && (index + at) % 2 === 0) continue;
          for (const { request, text, allow } of cases(row, door)) {
            const answer = await raw(port, request);
            const what = `${door}: ${fault}: ${JSON.stringify(request.slice(0, 200))}`;
            check(answer, pathOf(row), wanted(fault, text), what);
            if (allow !== undefined) assert.equal(answer.headers.get("allow"), allow, what);
            assert.equal(answer.headers.get("cache-control"), "no-store", what);
            asked.set(fault, (asked.get(fault) ?? 0) + 1);
          }
        }
        // HEAD says the same, and no more.
        const bare = `HEAD ${pathOf(row)} HTTP/1.1\r\nHost: evil.example\r\n\r\n`;
        const head = await raw(port, bare);
        assert.deepEqual([head.status, head.text], [403, ""], `${door}: ${bare}`);
        if (!row.methods.includes("HEAD") && isServed(row, door)) {
          const without = await raw(
            port,
            bare.replace("evil.example\r\n", "127.0.0.1\r\nConnection: close\r\n"),
          );
          assert.deepEqual([without.status, without.text], [405, ""], `${door}: ${row.path}`);
        }
      }
    }
    assert.deepEqual([...asked.keys()].toSorted(), Object.keys(CASES).toSorted());
    const sum = [...asked.values()].reduce((a, b) => a + b);
    assert.ok(sum > 1500, String(sum));
    console.log(`${sum} requests`);
  } finally {
    await served.stop();
  }
});

/** By door: the settings that let a name in, and an origin. `tests/clients/pages_test.ts` shows that the proxy's do. */
const LETS_IN: Readonly<Record<Door, { host: string; origin: string }>> = {
  proxy: { host: "--proxy-allow-host", origin: "--proxy-allow-origin" },
  gateway: { host: "--name", origin: "--allow-origin" },
};

/** Who is refused for where a request comes from is told the setting of this door, and that only where one helps. */
async function checkWhatLetsIn(door: Door, port: number): Promise<void> {
  const hint = async (...lines: string[]) => {
    const head = ["GET /api/version HTTP/1.1", ...lines, "Connection: close", "", ""];
    return JSON.parse((await raw(port, head.join("\r\n"))).text).hint;
  };
  const host = `Host: 127.0.0.1:${port}`;
  const { host: name, origin } = LETS_IN[door];
  assert.match(await hint("Host: evil.example"), new RegExp(` ${name} NAME$`), door);
  assert.match(
    await hint(host, "Origin: https://app.example"),
    new RegExp(` ${origin} ORIGIN$`),
    door,
  );
  // Such a request names no origin, so that none can be let in.
  assert.doesNotMatch(await hint(host, "Sec-Fetch-Site: cross-site"), /--/, door);
}
