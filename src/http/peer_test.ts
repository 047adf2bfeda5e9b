import assert from "node:assert/strict";
import { linux } from "../linux/libc.ts";
import { addressBytes, isLoopback } from "../loopback.ts";
import { listenerUids, listenerUidsInTable, ownUid, peerUid, uidInTable } from "./peer.ts";
import { hardened, pause, Raw } from "./testing.ts";
import { notOn } from "../../tests/support/systems.ts";

const LINUX = Deno.build.os === "linux";
const NOBODY = 65534;

Deno.test("peer: addresses as bytes", () => {
  assert.deepEqual([...addressBytes("127.0.0.1")], [127, 0, 0, 1]);
  assert.deepEqual([...addressBytes("::ffff:10.1.2.3")], [10, 1, 2, 3]);
  assert.equal(addressBytes("::1").toHex(), "00000000000000000000000000000001");
  assert.equal(addressBytes("2001:db8::a:1").toHex(), "20010db80000000000000000000a0001");
  assert.equal(addressBytes("fe80::1%eth0").toHex(), "fe800000000000000000000000000001");
  assert.equal(addressBytes("1:2:3:4:5:6:7:8").toHex(), "00010002000300040005000600070008");
  for (const name of ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]) {
    assert.ok(isLoopback(name));
  }
  for (const name of ["128.0.0.1", "10.0.0.1", "::", "::2", "0.0.0.0"]) {
    assert.ok(!isLoopback(name));
  }
});

Deno.test("peer: the kernel's table names the user of exactly this connection", () => {
  const row = (own: string, other: string, uid: number) =>
    `   0: ${own} ${other} 01 00000000:00000000 00:00000000 00000000 ${uid} 0 12345 1 0 20`;
  const table = [
    "  sl  local_address rem_address   st ...",
    row("0100007F:2CAA", "0100007F:9C40", 1), // the server's own end
    row("0100007F:9C40", "0100007F:2CAB", 2), // another server
    row("0200007F:9C40", "0100007F:2CAA", 3), // another client address
    row("0100007F:9C40", "0100007F:2CAA", 4),
    row("0000000000000000FFFF00000300007F:9C40", "0000000000000000FFFF00000100007F:2CAA", 5),
    row("00000000000000000000000001000000:9C40", "00000000000000000000000001000000:2CAA", 6),
  ].join("\n");
  const at = (hostname: string, port: number): Deno.NetAddr => ({
    transport: "tcp",
    hostname,
    port,
  });
  const server = 0x2caa, client = 0x9c40;
  assert.equal(uidInTable(table, at("127.0.0.1", client), at("127.0.0.1", server)), 4);
  assert.equal(uidInTable(table, at("127.0.0.3", client), at("127.0.0.1", server)), 5);
  assert.equal(uidInTable(table, at("::1", client), at("::1", server)), 6);
  assert.equal(uidInTable(table, at("127.0.0.1", client + 1), at("127.0.0.1", server)), undefined);
  const orphan = row("0100007F:9C41", "0100007F:2CAA", 0).replace(" 12345 ", " 0 ");
  const closed = `${table}\n${orphan}`;
  assert.equal(uidInTable(closed, at("127.0.0.1", 0x9c41), at("127.0.0.1", server)), undefined);
  assert.equal(uidInTable("", at("127.0.0.1", client), at("127.0.0.1", server)), undefined);
});

Deno.test("peer: who listens where a connection to 127.0.0.1 ends", () => {
  const row = (own: string, state: string, uid: number) =>
    `   0: ${own} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000 ${uid} 0 1 1 0 20`;
  const table = [
    "  sl  local_address rem_address   st ...",
    row("0100007F:2CAA", "0A", 1),
    row("00000000:2CAA", "0A", 2),
    row("0100007F:2CAB", "0A", 3), // another port
    row("0100007F:2CAA", "01", 4), // a connection
    row("0200A8C0:2CAA", "0A", 5), // another address
    row("00000000000000000000000000000000:2CAA", "0A", 6),
    row("0000000000000000FFFF00000100007F:2CAA", "0A", 7),
    row("00000000000000000000000001000000:2CAA", "0A", 8), // ::1 only
  ].join("\n");
  assert.deepEqual(listenerUidsInTable(table, 0x2caa), [1, 2, 6, 7]);
  if (!LINUX) return;
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  assert.deepEqual(listenerUids(port), [ownUid()]);
  listener.close();
  assert.deepEqual(listenerUids(port), []);
});

Deno.test({
  name: "peer: our own connection is ours, over IPv4 and IPv6",
  ignore: notOn("linux"),
  async fn() {
    for (const hostname of ["127.0.0.1", "::1"]) {
      let listener;
      try {
        listener = Deno.listen({ hostname, port: 0 });
      } catch {
        console.log(`SKIP: no ${hostname} here`);
        continue;
      }
      const client = await Deno.connect({ hostname, port: listener.addr.port });
      const conn = await listener.accept();
      const ends = [conn.remoteAddr, conn.localAddr] as [Deno.NetAddr, Deno.NetAddr];
      assert.equal(peerUid(...ends), ownUid());
      client.close();
      conn.close();
      listener.close();
      await pause(10);
      assert.notEqual(peerUid({ ...ends[0], port: 1 }, ends[1]), ownUid());
    }
  },
});

Deno.test({
  name:
    "peer: one that has closed already is nobody's, and the table of all connections is not read for it",
  ignore: notOn("linux"),
  async fn() {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const os = linux();
    const readText = os.readText;
    let read = 0;
    os.readText = (...args: Parameters<typeof readText>) => {
      read++;
      return readText.apply(os, args);
    };
    try {
      for (const closes of [false, true]) {
        const client = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
        if (closes) client.close();
        const conn = await listener.accept();
        // Its end has come.
        if (closes) assert.equal(await conn.read(new Uint8Array(1)), null);
        const ends = [conn.remoteAddr, conn.localAddr] as [Deno.NetAddr, Deno.NetAddr];
        assert.equal(peerUid(...ends), closes ? undefined : ownUid());
        conn.close();
        if (!closes) client.close();
      }
      assert.equal(read, 0);
    } finally {
      os.readText = readText;
      listener.close();
    }
  },
});

Deno.test({
  name: "peer: another user of this machine is refused, the same one is served",
  ignore: notOn("linux"),
  async fn() {
    const uid = ownUid();
    if (uid !== 0) {
      console.log("SKIP: only root can connect as another user");
      return;
    }
    const handler = () => new Response("served");
    const open = await hardened({ handler });
    const closed = await hardened({ handler, sameUidOnly: true });
    // bash speaks TCP by itself, so nothing else is needed to be somebody else.
    const as = async (user: number, port: number) => {
      const { stdout } = await new Deno.Command("setpriv", {
        args: [
          `--reuid=${user}`,
          "--clear-groups",
          "bash",
          "-c",
          `exec 3<>/dev/tcp/127.0.0.1/${port}; printf 'GET / HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3; cat <&3`,
        ],
        stderr: "null",
      }).output();
      return new TextDecoder().decode(stdout);
    };
    try {
      assert.match(
        await as(NOBODY, open.port),
        /200 OK[^]*served$/,
        "the attack itself does not work",
      );
      assert.match(await as(NOBODY, closed.port), /403 Forbidden[^]*"code":"peer-refused"/);
      assert.match(await as(uid, closed.port), /200 OK[^]*served$/);
      using raw = await Raw.open(closed.port);
      await raw.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
      assert.ok(await raw.until(/served$/));
    } finally {
      await open.stop();
      await closed.stop();
    }
  },
});
