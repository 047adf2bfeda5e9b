import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));
const PROMPT = "where are my keys";
/** Listens, says its port, and prints what it is sent. */
const LISTENER = `
import socket, sys
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
while True:
    c, _ = s.accept()
    c.settimeout(1)
    got = b""
    try:
        while b"keys" not in got: got += c.recv(65536) or b"keys"
    except OSError: pass
    print(got, flush=True)
    c.sendall(b"HTTP/1.1 502 no\\r\\ncontent-length: 0\\r\\nconnection: close\\r\\n\\r\\n")
    c.close()
`;

/** What a listener of `uid` on the proxy's port is sent by `secllama run`, and how that ends. */
async function askPastAListener(uid: number) {
  const child = new Deno.Command("/usr/bin/setpriv", {
    args: [`--reuid=${uid}`, "--clear-groups", "/usr/bin/python3", "-c", LISTENER],
    stdout: "piped",
  }).spawn();
  const out = child.stdout.pipeThrough(
    new TextDecoderStream() as unknown as TransformStream<Uint8Array, string>,
  ).getReader();
  let port = "";
  while (!port.endsWith("\n")) port += (await out.read()).value!; // the line's end may come by itself
  port = port.trim();
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--frozen", MAIN, "run", "demo", PROMPT, `--proxy-port=${port}`],
    // A variable of the tests' own would be refused as unknown.
    env: {
      NO_COLOR: "1",
      HOME: Deno.env.get("HOME") ?? "/",
      DENO_DIR: Deno.env.get("DENO_DIR") ?? "",
    },
    clearEnv: true,
    stdout: "null",
    stderr: "piped",
  }).output();
  child.kill("SIGKILL");
  let got = "";
  for (let part; !(part = await out.read()).done;) got += part.value;
  await child.status;
  return { code, stderr: new TextDecoder().decode(stderr), got };
}

const root = Deno.build.os === "linux" && Deno.uid() === 0;
if (!root) console.log("skipped: only root can listen as another user");

Deno.test({
  name: "run: a prompt goes to no other user's program that took the proxy's port",
  ignore: !root,
  async fn() {
    const own = await askPastAListener(0);
    assert.ok(own.got.includes(PROMPT), `positive control: ${own.stderr}`);
    const others = await askPastAListener(65534);
    assert.equal(others.got, "");
    assert.match(others.stderr, /^error: another user's program listens on 127\.0\.0\.1:\d+/);
    assert.equal(others.code, 9);
  },
});
