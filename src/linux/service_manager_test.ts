import assert from "node:assert/strict";
import { join } from "node:path";
import { notifyServiceManager } from "./service_manager.ts";

const ignore = Deno.build.os !== "linux";
if (ignore) console.log("skipped: sd_notify(3) is Linux'");

/** Python's socket as the service manager's end: prints what comes. */
async function manager(name: string): Promise<{ said: Promise<string>; child: Deno.ChildProcess }> {
  const child = new Deno.Command("/usr/bin/python3", {
    args: [
      "-c",
      "import os,socket,sys\n" +
      "s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)\n" +
      "n=sys.argv[1]\ns.bind('\\0'+n[1:] if n[0]=='@' else n)\n" +
      "os.close(2)\nprint(s.recv(4096).decode(),end='')",
      name,
    ],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  assert.equal(await new Response(child.stderr).text(), "", "it listens when this one is closed");
  return { said: new Response(child.stdout).text(), child };
}

Deno.test({
  name: "sd_notify: a state reaches the socket, by a path and in the abstract namespace",
  ignore,
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "secllama-notify-" });
    try {
      for (const name of [join(folder, "socket"), `@secllama-${crypto.randomUUID()}`]) {
        const { said, child } = await manager(name);
        assert.equal(notifyServiceManager({ NOTIFY_SOCKET: name }, "READY=1\nSTATUS=é"), true);
        assert.equal(await said, "READY=1\nSTATUS=é");
        await child.status;
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test({
  name:
    "sd_notify: no manager is none, one that has gone away ends nothing, another name is refused",
  ignore,
  fn() {
    assert.equal(notifyServiceManager({}, "READY=1"), false);
    assert.equal(notifyServiceManager({ NOTIFY_SOCKET: "/nowhere/socket" }, "READY=1"), false);
    for (const name of ["vsock:2:1", "relative"]) {
      assert.throws(() => notifyServiceManager({ NOTIFY_SOCKET: name }, "READY=1"), {
        code: "bad-environment",
      });
    }
  },
});
