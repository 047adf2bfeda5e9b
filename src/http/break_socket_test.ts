import assert from "node:assert/strict";
import { linux } from "../linux/libc.ts";
import { breakSocket } from "./break_socket.ts";
import { notOn } from "../../tests/support/systems.ts";

Deno.test({
  name: "break socket: of many connections each is found, and all descriptors are looked at once",
  ignore: notOn("linux"),
  async fn() {
    const os = linux();
    let looks = 0;
    os.readDirectory = (path) => {
      looks++;
      return Object.getPrototypeOf(os).readDirectory.call(os, path);
    };
    const open: Deno.Conn[] = [];
    try {
      for (const [hostname, client] of [["127.0.0.1"], ["::1"], ["::", "127.0.0.1"]]) {
        using listener = Deno.listen({ hostname: hostname!, port: 0 });
        const pairs = [];
        for (let i = 0; i < 20; i++) {
          const { port } = listener.addr;
          const [there, here] = await Promise.all([
            Deno.connect({ hostname: client ?? hostname!, port }),
            listener.accept(),
          ]);
          open.push(there, here);
          pairs.push({ there, here });
        }
        looks = 0;
        for (const { here } of pairs) assert.ok(breakSocket(here.localAddr, here.remoteAddr));
        assert.equal(looks, 1, hostname);
        for (const { there } of pairs) assert.equal(await there.read(new Uint8Array(1)), null);
        // Another one may have a descriptor that was known.
        const gone = pairs[0]!.here;
        const { localAddr, remoteAddr } = gone;
        gone.close();
        pairs[0]!.there.close();
        assert.equal(breakSocket(localAddr, remoteAddr), false);
      }
    } finally {
      Reflect.deleteProperty(os, "readDirectory");
      for (const one of open) {
        try {
          one.close();
        } catch { /* closed */ }
      }
    }
  },
});
