/** Names, addresses and TLS: a stand-in for the name service says where names are, the rest is real. */
import assert from "node:assert/strict";
import { HANG_MS } from "../support/patience.ts";
import { join } from "node:path";
import { parseHosts } from "../../src/config/hosts.ts";
import { makeGguf } from "../../src/models/testing.ts";
import { ModelStore } from "../../src/models/store.ts";
import { allowedAddresses, kindOfAddress, registryUrl } from "../../src/pull/policy.ts";
import { pullModel } from "../../src/pull/pull.ts";
import type { Network } from "../../src/pull/transport.ts";
import { packModel } from "./docker_registry.ts";
import { type Handler, listen, makeCertificate, registryOf } from "./hostile.ts";

const PUBLIC = "93.184.216.34";

Deno.test("pull: which addresses are public", () => {
  const of = (kind: string, ...addresses: string[]) =>
    addresses.forEach((address) => assert.equal(kindOfAddress(address), kind, address));
  of("public", PUBLIC, "1.1.1.1", "172.32.0.1", "100.63.255.255", "2606:4700::1111");
  of("public", "::ffff:1.1.1.1");
  of("loopback", "127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1");
  of("loopback", "0:0:0:0:0:ffff:127.0.0.1");
  of("private", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1");
  of("private", "fd00::1", "fc00::1", "::ffff:10.0.0.1", "::ffff:c0a8:1", "64:ff9b::a00:1");
  of("private", "2002:a00:1::1", "2001:db8::1", "2001::1", "198.18.0.1", "192.0.2.1", "fec0::1");
  of("never", "0.0.0.0", "0.1.2.3", "169.254.169.254", "fe80::1", "fe80::1%eth0", "::");
  of("never", "224.0.0.1", "255.255.255.255", "240.0.0.1", "ff02::1", "::ffff:169.254.169.254");
  of("never", "", "x", "1.2.3");
});

Deno.test("pull: an address is taken only where its registry may be", () => {
  const at = (host: string, privateAddress: boolean, ...addresses: string[]) => {
    try {
      return allowedAddresses({ url: registryUrl(host), privateAddress }, addresses);
    } catch {
      return [];
    }
  };
  assert.deepEqual(at("reg.example", false, PUBLIC, "10.0.0.1", "::1"), [PUBLIC]);
  assert.deepEqual(at("reg.example", false, "10.0.0.1", "127.0.0.1"), []);
  assert.deepEqual(at("reg.example", true, "10.0.0.1"), ["10.0.0.1"]);
  assert.deepEqual(at("reg.example", true, "169.254.169.254", "0.0.0.0"), []);
  assert.deepEqual(at("localhost:5000", true, "127.0.0.1", PUBLIC), ["127.0.0.1"]);
  assert.deepEqual(at("localhost:5000", true, PUBLIC), []);
});

Deno.test("pull: hosts of the settings", () => {
  assert.deepEqual(parseHosts(" Reg.example , localhost:5000,10.0.0.2, corp.example:5+private,"), [
    { host: "reg.example", privateAddress: false },
    { host: "localhost:5000", privateAddress: true },
    { host: "10.0.0.2", privateAddress: true },
    { host: "corp.example:5", privateAddress: true },
  ]);
  for (
    const bad of ["*.example", "https://x", "a/b", "a b", "a@b", "x:99999", "+private", "[::1]"]
  ) {
    assert.equal(parseHosts(bad), undefined, bad);
  }
});

interface Place {
  readonly network: Network & { readonly connected: string[]; resolved: number };
  pull(name: string, registries: string, blobHosts?: string): Promise<unknown>;
}

/** A registry with TLS that is called reg.example, at an address that counts as public. */
async function withTls(
  handler: Handler,
  body: (place: Place) => Promise<void>,
  addresses: (asked: number) => string[] = () => [PUBLIC],
): Promise<void> {
  const { ca, cert, key } = await makeCertificate("reg.example");
  await using server = listen(handler, { cert, key });
  const dir = await Deno.makeTempDir({ prefix: "secllama-tls-" });
  const network = {
    caCerts: [ca],
    connected: [] as string[],
    resolved: 0,
    resolve() {
      return Promise.resolve(addresses(++network.resolved));
    },
    connect(address: string) {
      network.connected.push(address);
      const [hostname, port] = server.host.split(":");
      return Deno.connect({ hostname: hostname!, port: Number(port) });
    },
  };
  try {
    const store = await ModelStore.open(join(dir, "models"));
    await body({
      network,
      pull: (name, registries, blobHosts = "") =>
        pullModel(store, name, {
          policy: { registries: parseHosts(registries)!, blobHosts: parseHosts(blobHosts)! },
          maxBytes: 2 ** 40,
          signal: new AbortController().signal,
          backoffMs: 1,
          idleMs: HANG_MS,
          network,
        }),
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const PACKED = packModel([["model", makeGguf()], ["system", "x"]]);
const NAME = "reg.example/me/x:v1";

Deno.test("pull: over TLS, the certificate proves the name", () =>
  withTls(registryOf(PACKED), async ({ pull, network }) => {
    await pull(NAME, "reg.example");
    assert.ok(network.connected.length >= 3);
    await pull("reg.example:443/me/x:v1", "reg.example");
    await assert.rejects(pull("other.example/me/x:v1", "other.example"), {
      code: "pull-failed",
      message: "the certificate of other.example is not one to trust",
    });
    const { caCerts: _, ...untrusting } = network;
    Object.assign(network, { caCerts: undefined });
    assert.ok(untrusting);
    await assert.rejects(pull(NAME, "reg.example"), {
      code: "pull-failed",
      message: /certificate/,
    });
  }));

Deno.test("pull: a registry with TLS cannot send us on without it, nor to a private one that is allowed", () => {
  let target = "";
  return withTls(
    registryOf(
      PACKED,
      (_, path) =>
        path.includes("/blobs/")
          ? new Response(null, { status: 307, headers: { location: target } })
          : undefined,
    ),
    async ({ pull }) => {
      for (
        const [where, message] of [
          ["http://reg.example/x", /http:\/\/reg\.example/],
          ["http://files.example/x", /without TLS/],
          ["http://localhost:5000/x", /public registry .* private address http:\/\/localhost:5000/],
          ["https://corp.example/x", /private address https:\/\/corp\.example/],
          [
            "https://files.example:8443/x?token=secret",
            /^the registry sends .* https:\/\/files\.example:8443$/,
          ],
        ] as const
      ) {
        target = where;
        const lists = ["reg.example,localhost:5000,corp.example+private", "files.example"] as const;
        const error = await pull(NAME, ...lists).then(() => undefined, (e) => e);
        assert.match(error?.code, /^(pull-refused|registry-not-allowed)$/, where);
        assert.match(error.message, message, where);
        assert.ok(!JSON.stringify([error.message, error.hint]).includes("secret"));
      }
    },
  );
});

/** Checks where a name is, then goes there by name: the name service is asked twice. */
async function checkThenConnect(network: Network): Promise<string> {
  const kinds = (await network.resolve("reg.example")).map(kindOfAddress);
  assert.ok(kinds.every((kind) => kind === "public"));
  return (await network.resolve("reg.example"))[0]!;
}

Deno.test("pull: a name that changes its mind (DNS rebinding, CVE-2024-28224)", async () => {
  // Public when asked first, this machine afterwards.
  const rebind = (asked: number) => asked % 2 === 1 ? [PUBLIC] : ["127.0.0.1"];
  await withTls(registryOf(PACKED), async ({ pull, network }) => {
    assert.equal(await checkThenConnect(network), "127.0.0.1", "who checks first is led inside");
    network.resolved = 0;
    await assert.rejects(pull(NAME, "reg.example"), {
      code: "pull-refused",
      message: /at an address that is not public/,
    });
    assert.ok(network.connected.length > 0, "the first connection was to the public address");
    assert.deepEqual(network.connected.filter((address) => address !== PUBLIC), []);
  }, rebind);
  for (const address of ["127.0.0.1", "::1", "10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1"]) {
    await withTls(registryOf(PACKED), async ({ pull, network }) => {
      await assert.rejects(pull(NAME, "reg.example"), { code: "pull-refused" }, address);
      assert.deepEqual(network.connected, []);
    }, () => [address]);
  }
});
