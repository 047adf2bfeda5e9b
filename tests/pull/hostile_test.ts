/**
 * What a registry can send to whoever pulls from it. Each attack first succeeds against a client that knows no better, then
 * meets ours; the names are those of the flaws that peers had.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { utf8 } from "../../src/bytes.ts";
import { makeGguf, tensor, u64 } from "../../src/models/testing.ts";
import { digestOf, type Layers, packModel } from "./docker_registry.ts";
import { listen, type Listener, naivePull, rangeOf, registryOf } from "./hostile.ts";
import { settled } from "../support/patience.ts";
import { attackTest, GOOD, manifestOf, MODEL } from "./victim.ts";

attackTest("a digest that is a path (CVE-2024-37032)", async (victim) => {
  const naive = join(victim.dir, "deep/er/naive");
  for (
    const digest of [
      "sha256:../../../../owned",
      "../../../../owned",
      `sha256:${"a".repeat(64)}/../../../../../owned`,
      `sha256:${"A".repeat(64)}`,
      `sha512:${"a".repeat(128)}`,
      `sha256:${"a".repeat(63)}`,
      `sha256:${"a".repeat(64)}\n`,
      "",
      null,
    ]
  ) {
    await using registry = listen((_, path) =>
      path.includes("/manifests/")
        ? new Response(manifestOf([{ mediaType: MODEL, digest, size: 5 }]))
        : new Response("owned")
    );
    await assert.rejects(victim.pull(registry.host), { code: "pull-refused" }, String(digest));
    assert.equal(registry.hits.length, 1, "a blob was asked for");
    if (digest?.startsWith("sha256:../")) {
      await naivePull(registry.host, "me/x:v1", naive);
      const written = join(naive, "blobs", digest.replace(":", "-"));
      assert.equal(await Deno.readTextFile(written), "owned");
      await Deno.remove(written);
    }
  }
  await victim.untouched();
});

attackTest("a gzip bomb for a manifest, and for a blob (CVE-2024-12886)", async (victim) => {
  const bomb = gzipSync(new Uint8Array(64 * 1024 * 1024));
  const packed = packModel(GOOD);
  const zipped = () =>
    new Response(bomb as BodyInit, {
      headers: { "content-encoding": "gzip", "content-length": String(bomb.length) },
    });
  await using first = listen(
    registryOf(packed, (_, path) => path.includes("/manifests/") ? zipped() : undefined),
  );
  await using second = listen(
    registryOf(packed, (_, path) => path.includes("/blobs/") ? zipped() : undefined),
  );
  assert.ok(bomb.length < 100_000);
  await naivePull(second.host, "me/x:v1", join(victim.dir, "naive"));
  const [blob] = packed.blobs.keys();
  const written = await Deno.stat(join(victim.dir, "naive/blobs", blob!.replace(":", "-")));
  assert.equal(written.size, 64 * 1024 * 1024, "the naive client unpacks it");
  for (const { host } of [first, second]) {
    await assert.rejects(victim.pull(host), { code: "pull-refused", message: /compressed/ });
  }
  await victim.untouched();
});

attackTest("a manifest index, and manifests that are none (CVE-2025-1975)", async (victim) => {
  const good = { mediaType: MODEL, digest: `sha256:${"a".repeat(64)}`, size: 5 };
  const index = "application/vnd.oci.image.index.v1+json";
  const rows: [string, Uint8Array, string?][] = [
    ["an index by its type", manifestOf([good]), index],
    ["an index by its field", manifestOf([good], { manifests: [good] })],
    ["an index by its own word", manifestOf([good], { mediaType: index })],
    ["no layers", utf8('{"schemaVersion":2,"config":{}}')],
    ["layers that are none", manifestOf({ length: 1e9 })],
    ["a layer that is null", manifestOf([null])],
    ["a negative size", manifestOf([{ ...good, size: -1 }])],
    ["a size beyond numbers", manifestOf([{ ...good, size: 1e300 }])],
    ["no model", manifestOf([])],
    ["two models", manifestOf([good, { ...good, digest: `sha256:${"b".repeat(64)}` }])],
    ["a part of an unknown kind", manifestOf([{ ...good, mediaType: "x\x1b]0;owned\x07" }, good])],
    ["too many layers", manifestOf(Array(300).fill(good))],
    [
      "a text of a gigabyte",
      manifestOf([good, { ...good, mediaType: `${MODEL.slice(0, -5)}system`, size: 2 ** 30 }]),
    ],
    ["schema version 1", utf8('{"schemaVersion":1,"fsLayers":[]}')],
    ["deep nesting", utf8("[".repeat(200_000))],
    ["no JSON", utf8("<html>")],
    ["broken UTF-8", Uint8Array.of(0x7b, 0xff, 0x7d)],
    ["nothing", new Uint8Array(0)],
  ];
  for (const [what, bytes, type] of rows) {
    await using registry = listen((_, path) =>
      path.includes("/manifests/")
        ? new Response(bytes as BodyInit, type ? { headers: { "content-type": type } } : {})
        : undefined
    );
    const error = await victim.pull(registry.host).then(() => undefined, (e) => e);
    assert.equal(error?.code, "pull-refused", what);
    // deno-lint-ignore no-control-regex
    assert.ok(!/[\x00-\x1f]/.test(error.message), what);
    assert.equal(registry.hits.length, 1, what);
    if (what === "no layers") {
      await assert.rejects(
        naivePull(registry.host, "me/x:v1", join(victim.dir, "naive")),
        TypeError,
      );
    }
  }
  await victim.untouched();
});

attackTest("more, less or other bytes than the manifest says", async (victim) => {
  const packed = packModel([["model", makeGguf({ dataBytes: 200_000 })]]);
  const [digest, bytes] = [...packed.blobs][0]!;
  const other = bytes.slice();
  other[other.length - 1]! ^= 1;
  const rows: [string, (request: Request) => Response, string][] = [
    ["other bytes", (request) => rangeOf(request, other), "model-corrupt"],
    ["fewer bytes", (request) => rangeOf(request, bytes.subarray(0, -9)), "pull-failed"],
    [
      "a whole file that is longer",
      () => new Response(new Uint8Array(bytes.length + 9)),
      "pull-failed",
    ],
    ["a stream without end", () => endless(), "pull-failed"],
    ["another range", () =>
      new Response(bytes as BodyInit, {
        status: 206,
        headers: { "content-range": `bytes 1-${bytes.length}/${bytes.length}` },
      }), "pull-failed"],
    ["an error", () => new Response("no", { status: 500 }), "pull-failed"],
    ["a page", () => new Response("<html>", { status: 203 }), "pull-failed"],
  ];
  for (const [what, answer, code] of rows) {
    await using registry = listen(
      registryOf(packed, (request, path) => path.endsWith(digest) ? answer(request) : undefined),
    );
    await assert.rejects(victim.pull(registry.host), { code }, what);
    if (what === "other bytes") {
      await naivePull(registry.host, "me/x:v1", join(victim.dir, "naive"));
      const kept = await Deno.readFile(join(victim.dir, "naive/blobs", digest.replace(":", "-")));
      assert.notEqual(digestOf(kept), digest, "the naive client keeps it");
    }
  }
  await victim.untouched();
  // A registry that mends itself: nothing of the bad bytes is left.
  await using good = listen(registryOf(packed));
  await victim.pull(good.host);
});

function endless(): Response {
  let sent = 0;
  return new Response(
    new ReadableStream({
      pull(controller) {
        sent += 65536;
        if (sent > 64 * 1024 * 1024) controller.close();
        else controller.enqueue(new Uint8Array(65536));
      },
    }),
  );
}

attackTest("a manifest or a token without end", async (victim) => {
  await using registry = listen((_, path) => path.includes("/manifests/") ? endless() : undefined);
  await assert.rejects(victim.pull(registry.host), {
    code: "pull-refused",
    message: /over 1048576/,
  });
  await using other: Listener = listen((_, path) =>
    path === "/token" ? endless() : new Response(null, {
      status: 401,
      headers: { "www-authenticate": `Bearer realm="http://${other.host}/token"` },
    })
  );
  await assert.rejects(victim.pull(other.host), { code: "pull-refused", message: /token/ });
  await victim.untouched();
});

attackTest("silence: no head, no body, a body that stalls", async (victim) => {
  const packed = packModel(GOOD);
  const never = () => new Promise<Response>(() => {});
  const stalls = () =>
    new Response(new ReadableStream({ start: (c) => c.enqueue(Uint8Array.of(1)) }), {
      headers: { "content-length": "9999" },
    });
  for (const answer of [never, stalls]) {
    for (const at of ["/manifests/", "/blobs/"]) {
      const registry = listen(
        registryOf(packed, (_, path) => path.includes(at) ? answer() : undefined),
      );
      const pulling = victim.pull(registry.host, { idleMs: 150 });
      await assert.rejects(settled(pulling, "that it is given up on"), { code: "pull-failed" });
      await Promise.race([registry[Symbol.asyncDispose](), new Promise((r) => setTimeout(r, 50))]);
    }
  }
  await victim.untouched();
});

attackTest("a pinned manifest that is another", async (victim) => {
  const [wanted, other] = [packModel(GOOD), packModel([["model", makeGguf({ fill: 3 })]])];
  await using registry = listen(registryOf(other));
  await assert.rejects(
    victim.pull(registry.host, { name: `${registry.host}/me/x:v1@${wanted.digest}` }),
    { code: "pull-refused", message: /another manifest/ },
  );
  await victim.untouched();
});

attackTest(
  "files that are what their digest says, and no model (CVE-2024-39720, CVE-2024-45436, CVE-2026-7020)",
  async (victim) => {
    const zip = utf8("PK\x03\x04\x14\x00\x00\x00\x00\x00" + "\x00".repeat(16) + "../../../owned");
    const past = makeGguf({ tensors: [tensor("t", [8, 1 << 20], 0, 0)] });
    const rows: [string, Layers][] = [
      ["four bytes", [["model", utf8("GGUF")]]],
      ["a tensor past the end", [["model", past]]],
      ["a ZIP that climbs out", [["model", zip]]],
      ["an adapter that is a model", [["model", makeGguf()], ["adapter", makeGguf({ fill: 2 })]]],
      ["a projector that is a model", [["model", makeGguf()], [
        "projector",
        makeGguf({ fill: 2 }),
      ]]],
      ["a count of 2^63 keys", [["model", makeGguf({ keyCount: 2n ** 63n })]]],
      ["a template that is none", [["model", makeGguf({ fill: 3 })], ["template", "{{ if }}"]]],
      ["a template that never makes a prompt", [["model", makeGguf({ fill: 4 })], [
        "template",
        "{{ index .Messages 99 }}",
      ]]],
    ];
    assert.equal(u64(1).length, 8);
    for (const [what, layers] of rows) {
      await using registry = listen(registryOf(packModel(layers)));
      await naivePull(registry.host, "me/x:v1", join(victim.dir, "naive"));
      await assert.rejects(victim.pull(registry.host), { code: "bad-model" }, what);
    }
    for (
      const layers of [
        [["model", makeGguf()], ["params", "[1]"]],
        [["model", makeGguf()], ["params", '{"__proto__":{"x":1}}']],
        [["model", makeGguf()], ["messages", '[{"role":"tool","content":"x"}]']],
      ] as Layers[]
    ) {
      await using registry = listen(registryOf(packModel(layers)));
      await assert.rejects(victim.pull(registry.host), { code: "model-corrupt" });
    }
    await victim.untouched();
  },
);
