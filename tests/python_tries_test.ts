/**
 * What the Python client of examples/python tries again, and how often: a real gateway behind a door, which answers in the host's
 * place (503, 422, 502), or ends the connection as a host does that dies. The client's pauses are noted and not waited for.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { encodePairing, parsePairing } from "../src/client/pairing.ts";
import { problem } from "../src/client/testing.ts";
import { findPython } from "./support/python.ts";
import { cli, newHome, ROOT, startServe } from "./support/serve.ts";

const python = await findPython();

/** Asks once for each line, says what came of it, and by which pauses, s. */
const ASK = `
import json, sys
import secllama_client as client
pauses = []
client.time.sleep = pauses.append
ours = client.Client(**client.parse_pairing(sys.stdin.readline()))
for line in sys.stdin:
    pauses.clear()
    try:
        body = {"model": "demo", "prompt": line, "stream": False, "options": {"num_predict": 1}}
        parts = ours.request("POST", "/api/generate", body)
        status, _ = next(parts)
        came = "answered" if status == 200 and json.loads(b"".join(parts))["done"] else str(status)
    except Exception as error: came = getattr(error, "code", None) or type(error).__name__
    print(json.dumps({"came": came, "pauses": pauses}), flush=True)
`;

interface Came {
  readonly came: string;
  readonly pauses: readonly number[];
}

type Place = "key" | "sealed";

/** What the door does instead of passing a request on. */
interface Fault {
  readonly name: string;
  /** All that comes back, and then the connection's end. */
  readonly bytes: string;
  /** What the client says of it in the end. */
  readonly code: string;
}

const BLANK = "content-length: 0\r\n\r\n";
async function refusal(code: "busy" | "fleet-silent" | "key-mismatch", wait?: number) {
  const response = problem(code);
  const text = await response.text();
  const head = `HTTP/1.1 ${response.status} X\r\ncontent-length: ${text.length}\r\n` +
    (wait === undefined ? "" : `retry-after: ${wait}\r\n`);
  return { name: code, bytes: `${head}\r\n${text}`, code };
}
const PASSING: readonly Fault[] = [
  await refusal("busy"),
  await refusal("fleet-silent", 5),
  await refusal("key-mismatch"),
  { name: "503 of a balancer", bytes: `HTTP/1.1 503 X\r\n${BLANK}`, code: "status-503" },
  { name: "502 of a balancer", bytes: `HTTP/1.1 502 X\r\n${BLANK}`, code: "status-502" },
  { name: "cut before the head", bytes: "", code: "RemoteDisconnected" },
];
const CUT: Fault = {
  name: "cut after the head",
  bytes: "HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\nSLR1",
  code: "truncated",
};

const HEAD_END = "\r\n\r\n";

/** Passes on what comes to the gateway at `port`, but for what `next` has for a request. */
function openDoor(port: number, next: (place: Place) => Fault | undefined) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const over: Promise<unknown>[] = [];
  const serve = async (client: Deno.Conn) => {
    using _client = client;
    const request = await readRequest(client);
    const fault = next(request.startsWith("GET") ? "key" : "sealed");
    if (fault !== undefined) {
      await writeAll(client, fault.bytes);
      return await client.closeWrite().catch(() => {});
    }
    using gateway = await Deno.connect({ hostname: "127.0.0.1", port });
    await writeAll(gateway, request.replace("\r\n", "\r\nconnection: close\r\n"));
    await gateway.readable.pipeTo(client.writable).catch(() => {});
  };
  const accepting = (async () => {
    for await (const client of listener) over.push(serve(client).catch(() => {}));
  })();
  return {
    port: listener.addr.port,
    async [Symbol.asyncDispose]() {
      listener.close();
      await accepting;
      await Promise.all(over);
    },
  };
}

/** Head and body, a character for each byte. */
async function readRequest(from: Deno.Conn): Promise<string> {
  let text = "";
  const buffer = new Uint8Array(65_536);
  for (;;) {
    const end = text.indexOf(HEAD_END);
    const length = Number(/content-length: *(\d+)/i.exec(text)?.[1] ?? 0);
    if (end >= 0 && text.length >= end + HEAD_END.length + length) return text;
    const count = await from.read(buffer);
    if (count === null) throw new Error("the client has gone");
    for (const byte of buffer.subarray(0, count)) text += String.fromCharCode(byte);
  }
}

async function writeAll(to: Deno.Conn, text: string): Promise<void> {
  const bytes = Uint8Array.from(text, (char) => char.charCodeAt(0));
  for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
}

Deno.test({
  name: "the Python client: what passes is tried three times more, what ended a runner once",
  ignore: python === undefined,
  async fn(t) {
    const { home, env } = await newHome();
    const key = `sl1:${crypto.getRandomValues(new Uint8Array(32)).toBase64()}`;
    const own = { ...env, SECLLAMA_DATA_DIR: join(home, "data"), SECLLAMA_KEY: key };
    const served = await startServe({ env: own, args: ["--no-proxy"] });
    const asked: Place[] = [];
    let faults: readonly Fault[] = [];
    let at: Place = "key";
    const door = openDoor(Number(new URL(served.gatewayUrl).port), (place) => {
      asked.push(place);
      if (place !== at) return undefined;
      const [fault, ...others] = faults;
      faults = others;
      return fault;
    });
    const url = `http://127.0.0.1:${door.port}`;
    const made = await cli(["pair", "laptop", "--string", "--no-qr", "--url", url], { env: own });
    assert.equal(made.code, 0, made.stderr);
    const child = new Deno.Command(python!, {
      args: ["-B", "-c", ASK],
      cwd: join(ROOT, "examples/python"),
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    const said = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const write = (line: string) => writer.write(new TextEncoder().encode(line));
    /** Asks once, with these faults in its way. */
    const ask = async (place: Place, inTheWay: readonly Fault[]): Promise<Came & { n: number }> => {
      asked.length = 0;
      [faults, at] = [inTheWay, place];
      await write("Hello\n");
      let text = "";
      while (!text.endsWith("\n")) text += (await said.read()).value ?? assert.fail("it ended");
      return { ...JSON.parse(text) as Came, n: asked.filter((one) => one === place).length };
    };
    try {
      await write(encodePairing({ ...parsePairing(made.stdout.trim()), url }) + "\n");
      await t.step("control: nothing in its way", async () => {
        assert.deepEqual(await ask("sealed", []), { came: "answered", pauses: [], n: 1 });
      });
      await t.step("each of what passes, at the key document and at the request", async () => {
        for (const place of ["key", "sealed"] as const) {
          for (const fault of PASSING) {
            const what = `${fault.name}, ${place}`;
            for (const times of [1, 3]) {
              const { came, pauses, n } = await ask(place, Array(times).fill(fault));
              const waited = fault.code === "key-mismatch" ? times - 1 : times;
              assert.deepEqual([came, n, pauses.length], ["answered", times + 1, waited], what);
            }
            const { came, pauses, n } = await ask(place, Array(4).fill(fault));
            assert.deepEqual([came, n], [fault.code, 4], what);
            const wait = Number(/retry-after: (\d+)/.exec(fault.bytes)?.[1] ?? 0);
            // A 422 is first tried without one.
            const mosts = [0.1, 0.2, 0.4].slice(-pauses.length);
            assert.equal(mosts.length, fault.code === "key-mismatch" ? 2 : 3, what);
            for (const [i, most] of mosts.entries()) {
              const own = pauses[i]! - wait;
              assert.ok(own > most * 0.49 && own < most * 1.01, `${what}: ${pauses}`);
            }
          }
        }
      });
      await t.step("one of each is three: the fourth is told", async () => {
        const [busy, , mismatch, , , lost] = PASSING as [Fault, Fault, Fault, Fault, Fault, Fault];
        const three = [busy, mismatch, lost];
        assert.equal((await ask("sealed", three)).came, "answered");
        assert.equal((await ask("sealed", [...three, CUT])).came, "truncated");
        assert.equal((await ask("sealed", [...three, busy])).came, "busy");
      });
      await t.step("an answer that had begun: once more, and not to a third", async () => {
        assert.deepEqual((await ask("sealed", [CUT])).came, "answered");
        const { came, n } = await ask("sealed", [CUT, CUT]);
        assert.deepEqual([came, n], ["truncated", 2]);
      });
      await t.step("what would be the same again is told at once", async () => {
        for (const fault of [await refusal("busy", 6), { ...CUT, bytes: notFound() }]) {
          const { n, pauses } = await ask("sealed", [fault]);
          assert.deepEqual([n, pauses], [1, []], fault.name);
        }
      });
      await t.step("nobody takes the connection", async () => {
        await door[Symbol.asyncDispose]();
        const { came, pauses } = await ask("sealed", []);
        assert.deepEqual([came, pauses.length], ["ConnectionRefusedError", 3]);
      });
    } finally {
      await writer.close();
      await child.status;
      await said.cancel();
      await door[Symbol.asyncDispose]().catch(() => {});
      await served.stop();
      await Deno.remove(home, { recursive: true });
    }
  },
});

function notFound(): string {
  return `HTTP/1.1 404 X\r\n${BLANK}`;
}
