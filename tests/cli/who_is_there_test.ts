/** No prompt goes to a program that is not this user's proxy: not to another user's, not to an Ollama, not to one that passes proofs on. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { cli, newHome, startServe } from "../support/serve.ts";

const PROMPT = "where are my keys";
/**
 * Listens, says its port, and writes down what it is sent. It answers as `argv[1]` says: "nothing", "ollama", or "relay PORT": what it gets is passed
 * on to that port, and the answer back.
 */
const LISTENER = `
import socket, sys
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
kind = sys.argv[1]
while True:
    c, _ = s.accept()
    c.settimeout(1)
    got = b""
    try:
        while True:
            part = c.recv(65536)
            if not part: break
            got += part
            print(part, flush=True)
            if kind == "ollama":
                body = b'{"version":"0.32.15"}'
                c.sendall(b"HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\ncontent-length: %d\\r\\n\\r\\n" % len(body) + body)
            elif kind == "relay":
                to = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
                to.settimeout(1)
                to.sendall(part)
                try: c.sendall(to.recv(65536))
                except OSError: pass
            else:
                c.sendall(b"HTTP/1.1 502 no\\r\\ncontent-length: 0\\r\\nconnection: close\\r\\n\\r\\n")
                break
    except OSError: pass
    c.close()
`;

async function listen(uid: number, ...args: string[]) {
  const child = new Deno.Command("/usr/bin/setpriv", {
    args: [`--reuid=${uid}`, "--clear-groups", "/usr/bin/python3", "-c", LISTENER, ...args],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const out = child.stdout.pipeThrough(
    new TextDecoderStream() as unknown as TransformStream<Uint8Array, string>,
  ).getReader();
  let port = "";
  while (!port.endsWith("\n")) port += (await out.read()).value!; // the line's end may come by itself
  return {
    port: port.trim(),
    /** Ends it, and says what it was sent. */
    async end(): Promise<string> {
      child.kill("SIGKILL");
      let got = "";
      for (let part; !(part = await out.read()).done;) got += part.value;
      await child.status;
      return got;
    },
  };
}

const root = Deno.build.os === "linux" && Deno.uid() === 0;
if (!root) console.log("skipped: only root can listen as another user");

Deno.test({
  name: "run, ps, stop and wait send nothing to what is not this user's proxy",
  ignore: !root,
  async fn(t) {
    const { home, env } = await newHome();
    const ask = async (listener: { port: string; end(): Promise<string> }, from = env) => {
      const run = await cli(["run", "demo", PROMPT, `--proxy-port=${listener.port}`], {
        env: from,
      });
      return { ...run, got: await listener.end() };
    };
    try {
      await t.step(
        "positive control: whoever posts to a port that anything took loses the prompt",
        async () => {
          const listener = await listen(0, "nothing");
          const url = `http://127.0.0.1:${listener.port}/api/chat`;
          await (await fetch(url, { method: "POST", body: PROMPT })).body?.cancel();
          assert.ok((await listener.end()).includes(PROMPT));
        },
      );
      await t.step("another user's program gets not even the challenge", async () => {
        const { code, stderr, got } = await ask(await listen(65534, "nothing"));
        assert.equal(got, "");
        assert.match(stderr, /^error: another user's program listens on 127\.0\.0\.1:\d+/);
        assert.equal(code, 9);
      });
      await t.step("a program of the same user's is named as what it is not", async () => {
        const { code, stderr, got } = await ask(await listen(0, "nothing"));
        assert.ok(!got.includes(PROMPT) && got.includes("challenge"));
        assert.match(stderr, /^error: what answers on \S+ is not SecLlama\nhint: nothing was sent/);
        assert.equal(code, 9);
      });
      await t.step("an Ollama is called by its name, and what to do is said", async () => {
        const { code, stderr, got } = await ask(await listen(0, "ollama"));
        assert.ok(!got.includes(PROMPT));
        assert.match(stderr, /is Ollama, or speaks like it.*\nhint: .*--proxy-port=N/);
        assert.equal(code, 9);
        for (const words of [["ps"], ["stop", "demo"], ["wait", "--timeout=8s"]]) {
          const listener = await listen(0, "ollama");
          const other = await cli([...words, `--proxy-port=${listener.port}`], { env });
          assert.match(other.stderr, /is Ollama/, words[0]);
          assert.equal(other.code, 9);
          await listener.end();
        }
      });
      await t.step("serve says who has its port, and what to do", async () => {
        for (
          const [kind, says] of [
            [
              "ollama",
              /is in use: Ollama has it.*\nhint: .*systemctl stop ollama.*--proxy-port=11444/,
            ],
            ["nothing", /is in use\nhint: end the program that has it.*--proxy-port=11444/],
          ] as const
        ) {
          const listener = await listen(0, kind);
          const serve = await cli(
            ["serve", "--ephemeral", "--port=0", `--proxy-port=${listener.port}`],
            { env },
          );
          assert.match(serve.stderr, says);
          assert.equal(serve.code, 5);
          await listener.end();
        }
      });
      await t.step(
        "one that passes the challenge on to the true proxy gets no prompt either",
        async () => {
          const served = await startServe();
          const port = new URL(served.proxyUrl).port;
          const own = { ...env, HOME: served.home };
          try {
            const relay = await listen(0, "relay", port);
            // What it announces is the true proxy's: the attacker can read it, being the same user.
            const folder = join(served.home, ".local/share/secllama");
            await Deno.copyFile(
              join(folder, `proxy-${port}.json`),
              join(folder, `proxy-${relay.port}.json`),
            );
            const { code, stderr, got } = await ask(relay, own);
            assert.ok(got.includes("challenge") && !got.includes(PROMPT), got);
            assert.match(stderr, /a SecLlama of another data folder or profile answers/);
            assert.equal(code, 9);
            // The true one answers its own user, and not who looks elsewhere.
            const good = await cli(["run", "demo", PROMPT, `--proxy-port=${port}`], { env: own });
            assert.equal(good.code, 0, good.stderr);
            const stranger = await cli(["run", "demo", PROMPT, `--proxy-port=${port}`], { env });
            assert.match(stranger.stderr, /another data folder or profile/);
          } finally {
            await served.stop();
          }
          const left = await cli(["run", "demo", PROMPT, `--proxy-port=${port}`], { env });
          assert.match(left.stderr, /no proxy answers on 127\.0\.0\.1/);
          assert.equal(left.code, 5);
        },
      );
    } finally {
      await Deno.remove(home, { recursive: true });
    }
  },
});
