/**
 * Where a registry can send whoever pulls from it, and what it gets of secrets. Each attack first succeeds against a client that
 * knows no better, then meets ours; the names are those of the flaws that peers had.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { parseHosts } from "../../src/config/hosts.ts";
import { packModel } from "./docker_registry.ts";
import { listen, type Listener, naivePull, rangeOf, registryOf } from "./hostile.ts";
import { attackTest, GOOD } from "./victim.ts";

attackTest("a realm on another host steals the user's proof (CVE-2025-51471)", async (victim) => {
  await using thief = listen(() => Response.json({ token: "x" }));
  const packed = packModel(GOOD);
  for (
    const realm of [
      `http://${thief.host}/token`,
      `http://localhost:${thief.host.split(":")[1]}/token`,
      `//${thief.host}/token`,
      "http://169.254.169.254/latest/meta-data/",
      "file:///etc/passwd",
      "",
    ]
  ) {
    await using registry = listen(
      registryOf(
        packed,
        (request) =>
          request.headers.has("authorization") ? undefined : new Response(null, {
            status: 401,
            headers: {
              "www-authenticate": `Bearer realm="${realm}",service="x",scope="everything"`,
            },
          }),
      ),
    );
    if (realm.startsWith("http://127")) {
      await naivePull(registry.host, "me/x:v1", join(victim.dir, "naive"));
      assert.deepEqual(thief.hits, [{ path: "/token", authorization: "Signature of-the-user" }]);
      thief.hits.length = 0;
    }
    await assert.rejects(
      victim.pull(registry.host),
      (error: { code: string }) => ["registry-not-allowed", "pull-refused"].includes(error.code),
      realm,
    );
    assert.deepEqual(thief.hits, [], realm);
  }
  await victim.untouched();
});

attackTest("a token goes to the registry that asked, and to nobody else", async (victim) => {
  const packed = packModel(GOOD);
  await using files = listen((request, path) => {
    const bytes = packed.blobs.get(path.slice(1));
    return bytes && rangeOf(request, bytes);
  });
  let tokens = 0;
  await using registry: Listener = listen((request, path) => {
    if (path === "/token") {
      tokens++;
      const { searchParams } = new URL(request.url);
      assert.equal(
        searchParams.get("scope"),
        "repository:me/x:pull",
        "not what the challenge says",
      );
      return Response.json({ token: "of-this-registry" });
    }
    if (request.headers.get("authorization") !== "Bearer of-this-registry") {
      const realm = `http://${registry.host}/token`;
      return new Response(null, {
        status: 401,
        headers: { "www-authenticate": `Bearer realm="${realm}",service="s",scope="all:*:push"` },
      });
    }
    if (path.includes("/manifests/")) return new Response(packed.manifest as BodyInit);
    return Response.redirect(`http://${files.host}/${path.split("/blobs/")[1]}`, 307);
  });
  await assert.rejects(victim.pull(registry.host), {
    code: "registry-not-allowed",
    hint: /SECLLAMA_REGISTRY_BLOB_HOSTS/,
    field: files.host,
  });
  assert.equal(files.hits.length, 0);
  const policy = { registries: parseHosts(registry.host)!, blobHosts: parseHosts(files.host)! };
  await victim.pull(registry.host, { policy });
  assert.ok(tokens > 0 && files.hits.length > 0);
  assert.ok(files.hits.every((hit) => hit.authorization === null));
  assert.ok(registry.hits.some((hit) => hit.authorization === "Bearer of-this-registry"));
  await victim.store.verify((await victim.store.resolve(`${registry.host}/me/x:v1`)).digest);
});

attackTest("a redirect to an inner service (CVE-2026-5530)", async (victim) => {
  await using inner = listen(() => new Response("inner secret"));
  const port = inner.host.split(":")[1];
  const packed = packModel(GOOD);
  for (const at of ["/blobs/", "/manifests/"]) {
    for (
      const target of [
        `http://${inner.host}/`,
        `http://localhost:${port}/`,
        `http://[::1]:${port}/`,
        `http://[::ffff:127.0.0.1]:${port}/`,
        `http://0.0.0.0:${port}/`,
        `http://2130706433:${port}/`,
        `//${inner.host}/`,
        `http:\\\\${inner.host}\\`,
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "file:///etc/passwd",
        "data:,x",
        "",
      ]
    ) {
      await using registry = listen(
        registryOf(
          packed,
          (_, path) =>
            path.includes(at)
              ? new Response(null, { status: 307, headers: { location: target } })
              : undefined,
        ),
      );
      if (target === `http://${inner.host}/` && at === "/blobs/") {
        await naivePull(registry.host, "me/x:v1", join(victim.dir, "naive"));
        assert.ok(inner.hits.length > 0, "the naive client goes there");
        inner.hits.length = 0;
      }
      await assert.rejects(
        victim.pull(registry.host),
        (error: { code: string }) => ["registry-not-allowed", "pull-refused"].includes(error.code),
        `${at} ${target}`,
      );
      assert.deepEqual(inner.hits, [], target);
    }
    // The same host with another name before the @, or in circles.
    await using registry: Listener = listen(registryOf(packed, (_, path) => {
      if (!path.includes(at)) return undefined;
      const location = path.includes("/x/") ? `http://me@${registry.host}/again` : path;
      return new Response(null, { status: 302, headers: { location } });
    }));
    await assert.rejects(victim.pull(registry.host), { code: "pull-refused" });
    await using circle = listen(
      registryOf(
        packed,
        (_, path) =>
          path.includes(at)
            ? new Response(null, { status: 302, headers: { location: path } })
            : undefined,
      ),
    );
    await assert.rejects(victim.pull(circle.host), { code: "pull-refused", message: /circles/ });
    assert.ok(circle.hits.length < 20);
  }
  await victim.untouched();
});
