/** Others who would use the page: a page of another origin, a name that leads here, another user, and whoever reads the browser's files. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { startServe } from "../support/serve.ts";
import {
  askPage,
  chooseModel,
  hasChromium,
  isFull,
  serveWithHistory,
  visit,
  visitWithProfile,
} from "./browser.ts";

const ignore = !hasChromium() || !isFull("the page's foreigners in a browser");

/** A server without any of our checks: what the attacks work on. */
function careless() {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const script = new URL(request.url).pathname.endsWith(".js");
    return new Response(script ? "1" : "the secret", {
      headers: {
        "access-control-allow-origin": request.headers.get("origin") ?? "*",
        "access-control-allow-credentials": "true",
        "content-type": script ? "text/javascript" : "text/html",
      },
    });
  });
  return { port: server.addr.port, [Symbol.asyncDispose]: () => server.shutdown() };
}

/** A page of somebody else's. */
function evil() {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () =>
      new Response("<!doctype html><title>evil</title>", {
        headers: { "content-type": "text/html" },
      }),
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}/`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

Deno.test({
  name: "page: another origin reads nothing of it and frames nothing of it",
  ignore,
  async fn() {
    await using other = evil();
    await using victim = careless();
    const served = await startServe();
    try {
      await visit(other.url, async ({ page }) => {
        const attack = (base: string) =>
          page.evaluate(`(async () => {
            const out = {};
            for (const path of ["/secllama/page/replies", "/secllama/history", "/", "/secllama/page/app.js"]) {
              for (const mode of ["cors", "no-cors"]) {
                out[mode + " " + path] = await fetch(${
            JSON.stringify(base)
          } + path, { mode, credentials: "include" })
                  .then(async (r) => r.type === "opaque" ? "opaque" : r.status + " " + await r.text(), () => "refused");
              }
            }
            out.post = await fetch(${JSON.stringify(base)} + "/secllama/page/replies", {
              method: "POST", mode: "no-cors", body: JSON.stringify({ conversation: "c", request: { model: "demo", messages: [] } }),
            }).then((r) => r.type, () => "refused");
            out.script = await new Promise((done) => {
              const one = document.createElement("script");
              one.src = ${JSON.stringify(base)} + "/secllama/page/app.js";
              one.onload = () => done("loaded");
              one.onerror = () => done("refused");
              document.head.append(one);
            });
            out.frame = await new Promise((done) => {
              const one = document.createElement("iframe");
              one.src = ${JSON.stringify(base)} + "/";
              one.onload = () => done(one.contentWindow.length + " framed");
              document.body.append(one);
            });
            return out;
          })()`) as Promise<Record<string, string>>;
        const works = await attack(`http://127.0.0.1:${victim.port}`);
        assert.match(works["cors /secllama/page/replies"]!, /the secret/);
        assert.equal(works["script"], "loaded");
        const held = await attack(served.proxyUrl);
        for (const [name, what] of Object.entries(held)) {
          if (name === "frame") continue;
          // Opaque: the refusal itself came, and says nothing to the page.
          const blind = name.startsWith("no-cors") || name === "post";
          assert.ok(what === "refused" || blind && what === "opaque", `${name}: ${what}`);
        }
        // What the frame got is the refusal.
        for (const frame of page.frames()) {
          if (!frame.url().startsWith(served.proxyUrl)) continue;
          assert.equal(await frame.locator("#app").count(), 0);
        }
        const replies = await (await fetch(`${served.proxyUrl}/secllama/page/replies`)).json();
        assert.deepEqual(replies, { replies: [] }, "nothing was begun");
      });
    } finally {
      await served.stop();
    }
  },
});

Deno.test({
  name: "page: a name that was led to 127.0.0.1 gets nothing",
  ignore,
  async fn() {
    await using victim = careless();
    const served = await startServe();
    try {
      const { port } = new URL(served.proxyUrl);
      const args = ["--host-resolver-rules=MAP rebound.example 127.0.0.1"];
      await visit(`http://rebound.example:${victim.port}/`, async ({ page }) => {
        // As a page that was loaded before the name was led here: same origin, so nothing else holds.
        assert.match(await page.content(), /the secret/);
        const answer = await page.goto(`http://rebound.example:${port}/`);
        assert.equal(answer!.status(), 403);
        assert.equal(await page.locator("#app").count(), 0);
        const read = await page.evaluate(
          `fetch("/secllama/page/replies").then(async (r) => r.status + " " + await r.text())`,
        );
        assert.match(String(read), /^403 .*host-refused/);
      }, { args });
    } finally {
      await served.stop();
    }
  },
});

Deno.test({
  name: "page: the browser's profile holds no word of a conversation",
  ignore,
  async fn() {
    await using served = await serveWithHistory();
    const profile = await Deno.makeTempDir({ prefix: "secllama-profile-" });
    const canary = `kestrel${crypto.randomUUID().replaceAll("-", "")}`;
    try {
      // A page that does keep something shows that the search would find it.
      await using other = evil();
      await visitWithProfile(other.url, profile, async (page) => {
        await page.evaluate(`localStorage.setItem("kept", "careless ${canary}x")`);
      });
      assert.ok((await filesWith(profile, `${canary}x`)).length > 0, "the search finds nothing");
      const mine = `mine${canary}`;
      await visitWithProfile(served.proxyUrl, profile, async (page) => {
        await chooseModel(page, "scripted");
        await askPage(page, `What of ${mine}?`);
        await page.reload();
        await page.locator(".message.user", { hasText: mine }).waitFor();
        const kept = await page.evaluate(`(async () => [
          localStorage.length,
          sessionStorage.length,
          (await indexedDB.databases()).length,
          (await caches.keys()).length,
          document.cookie.length,
          (await navigator.serviceWorker.getRegistrations()).length,
        ])()`);
        assert.deepEqual(kept, [0, 0, 0, 0, 0, 0]);
      });
      assert.deepEqual(await filesWith(profile, mine), []);
      assert.deepEqual(await filesWith(served.home, mine), [], "nor the data folder");
    } finally {
      await Deno.remove(profile, { recursive: true });
    }
  },
});

/** Files below a folder that hold a text, as UTF-8 or UTF-16. */
async function filesWith(folder: string, text: string): Promise<string[]> {
  const forms = [text, [...text].join("\0")];
  const found: string[] = [];
  for await (const { name, isDirectory, isFile } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) found.push(...await filesWith(path, text));
    else if (isFile) {
      const bytes = new TextDecoder("latin1").decode(await Deno.readFile(path));
      if (forms.some((form) => bytes.includes(form))) found.push(path);
    }
  }
  return found;
}
