import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { readChallenge } from "../api/proxy_identity.ts";
import { ROUTES } from "../api/routes.ts";
import { toBase64Url } from "../bytes.ts";
import { ProxyIdentity } from "../proxy/identity.ts";
import { inColour } from "./doctor.ts";
import { printable } from "./tui.ts";

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));
/** OSC 52: writes to the clipboard of many a terminal. */
const CLIPBOARD = "\x1b]52;c;ZXZpbA==\x07";
const PYTHON = "/usr/bin/python3";
const noPython = !existsSync(PYTHON);
if (noPython) console.log(`skipped: what moves a terminal: there is no ${PYTHON}`);
/** Runs argv in a terminal of its own, and copies what that is sent. */
const IN_TERMINAL = `
import os, pty, sys
pid, fd = pty.fork()
if pid == 0: os.execv(sys.argv[1], sys.argv[1:])
while True:
    try: data = os.read(fd, 65536)
    except OSError: break
    if not data: break
    sys.stdout.buffer.write(data)
`;
import { notOn } from "../../tests/support/systems.ts";

async function output(argv: readonly string[], dataDir: string): Promise<string> {
  const { stdout } = await new Deno.Command("/usr/bin/timeout", {
    args: ["300", ...argv],
    // A variable of the tests' own would be refused as unknown.
    env: {
      HOME: Deno.env.get("HOME") ?? "/",
      SECLLAMA_DATA_DIR: dataDir,
    },
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).output();
  return new TextDecoder().decode(stdout);
}

Deno.test({
  name: "tui: what a model or a gateway says moves no terminal; a pipe gets it as it is",
  ignore: notOn("linux") || noPython,
  async fn() {
    const words = { message: { content: `${CLIPBOARD}said\n` }, done: true };
    const dataDir = await Deno.makeTempDir({ prefix: "secllama-test-" });
    const identity = await ProxyIdentity.make();
    const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (r) => {
      const body = await r.json();
      if (new URL(r.url).pathname === ROUTES.identity.path) {
        const signature = await identity.sign(readChallenge(body)!);
        return Response.json({ signature: toBase64Url(signature!) });
      }
      return body.model === "demo"
        ? new Response(JSON.stringify(words) + "\n")
        : Response.json({ error: `${CLIPBOARD}refused` }, { status: 404 });
    });
    try {
      await identity.announce(dataDir, server.addr.port);
      const command = (model: string) => [
        ...[Deno.execPath(), "run", "-A", "--frozen", MAIN, "run", model, "hello"],
        `--proxy-port=${server.addr.port}`,
      ];
      const piped = await output(command("demo"), dataDir);
      assert.ok(piped.includes(`${CLIPBOARD}said`), `positive control: ${piped}`);
      for (const [model, said] of [["demo", "said"], ["other", "refused"]] as const) {
        const shown = await output([PYTHON, "-c", IN_TERMINAL, ...command(model)], dataDir);
        assert.ok(shown.includes(said), shown);
        assert.ok(!shown.includes("\x1b]") && !shown.includes("\x07"), JSON.stringify(shown));
      }
    } finally {
      await server.shutdown();
      await Deno.remove(dataDir, { recursive: true });
    }
  },
});

Deno.test("tui: our own colours, tabs and line ends stay, every other control character goes", () => {
  assert.equal(printable("\x1b[1ma\x1b[0m\tb\r\nc"), "\x1b[1ma\x1b[0m\tb\nc");
  for (const bad of ["\x1b[8m", "\x1b[2J", "\x1b]0;x\x07", "\x9b2J", "\x00", "\x7f", "\b"]) {
    // deno-lint-ignore no-control-regex -- they are what it is about
    assert.ok(!/[\x1b\x07\x9b\x00\x7f\b]/.test(printable(bad)), JSON.stringify(bad));
  }
  assert.equal(printable("größer 日本 🙂"), "größer 日本 🙂");
});

Deno.test("tui: a report's line has its verdict's colour on its first word, and stays itself without colours", () => {
  const painted = (line: string) =>
    inColour(line, { judged: (verdict, text) => `<${verdict}:${text}>` });
  assert.equal(painted("holds    the key: in memory"), "<good:holds>    the key: in memory");
  assert.equal(painted("all holds"), "<good:all holds>");
  assert.equal(painted("fails    x: it holds nothing"), "<bad:fails>    x: it holds nothing");
  assert.equal(painted("not everything holds"), "<bad:not everything holds>");
  assert.equal(painted("does not hold: x"), "<bad:does not hold>: x");
  assert.equal(painted("not run  x"), "<unknown:not run>  x");
  assert.equal(painted("         hint: holds"), "         hint: holds");
  for (const line of ["holds  x", "limits of this machine"]) {
    assert.equal(inColour(line, { judged: (_, text) => text }), line);
  }
  assert.equal(printable("\x1b[32mholds\x1b[0m"), "\x1b[32mholds\x1b[0m");
});
