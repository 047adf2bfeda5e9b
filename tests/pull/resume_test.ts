/** Going on: after breaks, with a registry that knows no ranges, over what a crash of the machine left, beside another pull. */
import assert from "node:assert/strict";
import { HANG_MS } from "../support/patience.ts";
import { join } from "node:path";
import { parseHosts } from "../../src/config/hosts.ts";
import { listFolder } from "../../src/models/files.ts";
import { makeGguf, tensor } from "../../src/models/testing.ts";
import { cleanPartials, PartialBlob } from "../../src/models/partial.ts";
import { ModelStore } from "../../src/models/store.ts";
import { type PullEvent, pullModel } from "../../src/pull/pull.ts";
import { digestOf, packModel } from "./docker_registry.ts";
import { type Handler, listen, rangeOf, registryOf } from "./hostile.ts";

const CHUNK_BYTES = 64 * 1024;
const DATA_BYTES = 9 * CHUNK_BYTES + 32;
const MODEL = makeGguf({
  tensors: [tensor("token_embd.weight", [8, DATA_BYTES / 32], 0, 0)],
  dataBytes: DATA_BYTES,
});
// Bytes that differ from chunk to chunk, so that one in another's place is noticed.
for (let i = MODEL.length - DATA_BYTES; i < MODEL.length; i++) MODEL[i] = (i * 2654435761) >>> 24;
const PACKED = packModel([["model", MODEL], ["system", "x"]]);
const DIGEST = digestOf(MODEL);
const PART = { mediaType: "", digest: DIGEST, size: MODEL.length };

async function withStore(
  handler: Handler,
  body: (o: { dir: string; store: ModelStore; pull: () => Promise<PullEvent[]> }) => Promise<void>,
): Promise<void> {
  await using registry = listen(handler);
  const dir = await Deno.makeTempDir({ prefix: "secllama-resume-" });
  try {
    const store = await ModelStore.open(join(dir, "models"));
    await body({
      dir,
      store,
      async pull() {
        const events: PullEvent[] = [];
        const { model } = await pullModel(store, `${registry.host}/me/x:v1`, {
          policy: { registries: parseHosts(registry.host)!, blobHosts: [] },
          maxBytes: 2 ** 40,
          signal: new AbortController().signal,
          backoffMs: 1,
          idleMs: HANG_MS,
          chunkBytes: CHUNK_BYTES,
          onEvent: (event) => events.push(event),
        });
        await store.verify(model.digest);
        assert.deepEqual(await listFolder(join(dir, "models/partial")), []);
        return events;
      },
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("pull: a registry that knows no ranges", () =>
  withStore(
    registryOf(PACKED, (_, path) =>
      path.includes("/blobs/")
        ? new Response(PACKED.blobs.get(path.split("/blobs/")[1]!) as BodyInit)
        : undefined),
    async ({ pull }) => {
      await pull();
    },
  ));

Deno.test("pull: a registry that breaks off again and again", () => {
  let broken = 0;
  return withStore(
    registryOf(PACKED, (request, path) => {
      if (!path.endsWith(DIGEST) || broken >= 12) return undefined;
      broken++;
      const whole = rangeOf(request, MODEL);
      let sent = 0;
      const cut = new ReadableStream<Uint8Array>({
        async pull(controller) {
          const bytes = await whole.clone().bytes();
          if (sent > 0) return controller.error(new Error("broken off"));
          sent = Math.ceil(bytes.length / 3);
          controller.enqueue(bytes.subarray(0, sent));
        },
      });
      return broken % 3 === 0
        ? new Response("busy", { status: 503 })
        : new Response(cut, { status: 206, headers: whole.headers });
    }),
    async ({ pull }) => {
      await pull();
      assert.equal(broken, 12);
    },
  );
});

Deno.test("pull: tokens that end while the files come, and one that never does", async () => {
  let issued = 0;
  const uses = new Map<string, number>();
  const withTokens = (lifeUses: number): Handler =>
    registryOf(PACKED, (request, path) => {
      if (path === "/token") {
        uses.set(`Bearer t${++issued}`, 0);
        return Response.json({ access_token: `t${issued}` });
      }
      const token = request.headers.get("authorization") ?? "";
      const used = uses.get(token) ?? Infinity;
      uses.set(token, used + 1);
      if (used < lifeUses) return undefined;
      const realm = new URL("/token", request.url).href;
      return new Response(null, {
        status: 401,
        headers: { "www-authenticate": `Bearer realm="${realm}",service="s"` },
      });
    });
  await withStore(withTokens(8), async ({ pull }) => {
    await pull();
    assert.ok(issued >= 2, `${issued} tokens`);
  });
  await withStore(withTokens(0), async ({ pull }) => {
    await assert.rejects(pull(), { code: "pull-refused", message: /password/ });
  });
  const basic = () =>
    new Response(null, { status: 401, headers: { "www-authenticate": 'Basic realm="x"' } });
  await withStore(basic, async ({ pull }) => {
    await assert.rejects(pull(), { code: "pull-refused", message: /password/ });
  });
});

Deno.test("pull: what a crash of the machine left is fetched again", () =>
  withStore(registryOf(PACKED), async ({ dir, pull }) => {
    // The list says that all is there; the disk kept zeroes.
    const path = join(dir, "models/partial", DIGEST.replace(":", "-"));
    await Deno.mkdir(join(dir, "models/partial"), { recursive: true });
    await Deno.writeFile(path, new Uint8Array(MODEL.length));
    const chunks = Array.from(
      { length: Math.ceil(MODEL.length / CHUNK_BYTES) },
      (_, i) => `${i}\n`,
    );
    await Deno.writeTextFile(`${path}.done`, `${MODEL.length} ${CHUNK_BYTES}\n${chunks.join("")}`);
    await pull();
  }));

Deno.test("pull: a list that is damaged, or of another time, is not believed", () =>
  withStore(registryOf(PACKED), async ({ dir, store, pull }) => {
    const path = join(dir, "models/partial", DIGEST.replace(":", "-"));
    for (
      const text of [
        "",
        "x",
        `${MODEL.length} 1\n0\n`,
        `${MODEL.length} ${CHUNK_BYTES}\n99999\n-1\n1e3\n\n0x1\n5`,
        `${MODEL.length} ${CHUNK_BYTES}\n0\n`,
      ]
    ) {
      await Deno.mkdir(join(dir, "models/partial"), { recursive: true });
      await Deno.writeFile(path, MODEL.subarray(0, 10));
      await Deno.writeTextFile(`${path}.done`, text);
      await pull();
      await store.remove((await store.list())[0]!.name);
    }
  }));

Deno.test("pull: two at once do not meet in one file", () =>
  withStore(registryOf(PACKED), async ({ dir, pull }) => {
    const folder = join(dir, "models/partial");
    using _first = await PartialBlob.open(folder, PART, CHUNK_BYTES);
    await assert.rejects(pull(), { code: "busy", message: /another pull/ });
  }));

Deno.test("pull: what nobody goes on with for a week is removed, what is being fetched is not", async () => {
  const folder = await Deno.makeTempDir({ prefix: "secllama-partial-" });
  try {
    const later = Date.now() + 8 * 24 * 3_600_000;
    {
      using _live = await PartialBlob.open(folder, PART, CHUNK_BYTES);
      await cleanPartials(folder, later);
      assert.ok(
        (await listFolder(folder)).some((entry) => entry.name === DIGEST.replace(":", "-")),
      );
    }
    await cleanPartials(folder);
    assert.ok((await listFolder(folder)).length > 0);
    await cleanPartials(folder, later);
    assert.deepEqual(await listFolder(folder), []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
