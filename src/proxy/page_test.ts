/** The page's part of the proxy: who gets the page, what protects it, and replies that outlive a connection. */
import assert from "node:assert/strict";
import { Guesses } from "../firm/guesses.ts";
import { silentLogger } from "../log.ts";
import type { NewMessage } from "../api/history.ts";
import { SecLlamaError } from "../errors.ts";
import { encoder, post, rawPost, withProxy } from "./testing.ts";
import { PAGE_HEADERS } from "./page/files.ts";
import { Replies } from "./page/replies.ts";

const HTML = { headers: { accept: "text/html,application/xhtml+xml,*/*;q=0.8" } };

Deno.test("page: who accepts HTML gets it, all others what Ollama says", () =>
  withProxy(async ({ url, plain }) => {
    const page = await fetch(url, HTML);
    assert.match(page.headers.get("content-type")!, /^text\/html/);
    assert.match(await page.text(), /<script type="module" src="\/secllama\/page\/app.js">/);
    for (const [name, value] of Object.entries(PAGE_HEADERS)) {
      assert.equal(page.headers.get(name), value, name);
    }
    assert.equal(plain.filter(({ path }) => path === "/").length, 0);
    for (const accept of ["*/*", "application/json", "text/plain", "text/htmlx", "text/*"]) {
      await (await fetch(url, { headers: { accept } })).body?.cancel();
    }
    assert.equal(plain.filter(({ path }) => path === "/").length, 5, "asked of the gateway");
    const head = await fetch(url, { ...HTML, method: "HEAD" });
    assert.match(head.headers.get("content-type")!, /^text\/html/);
  }));

Deno.test("page: its files are whole, typed and small", () =>
  withProxy(async ({ url }) => {
    let bytes = 0;
    for (
      const [file, type] of [
        ["app.js", "text/javascript"],
        ["reading.js", "text/javascript"],
        ["app.css", "text/css"],
        ["icon.svg", "image/svg+xml"],
      ]
    ) {
      const answer = await fetch(`${url}/secllama/page/${file}`);
      assert.ok(answer.headers.get("content-type")!.startsWith(type!), file);
      const packed = answer.body!.pipeThrough(new CompressionStream("gzip"));
      bytes += (await new Response(packed).bytes()).length;
    }
    assert.ok(bytes > 5_000 && bytes <= 300_000, `${bytes} bytes compressed`);
    const html = await (await fetch(url, HTML)).text();
    assert.match(
      html,
      /<link rel="preload" as="fetch" [^>]*href="\/secllama\/history\?limit=\d+">/,
    );
  }));

/** What the runner of the test says to a chat, line by line. */
async function linesOf(answer: Response): Promise<Record<string, unknown>[]> {
  const text = await answer.text();
  return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

Deno.test("page: a reply is made whoever reads it, twice the same, and gone when it was put away", () =>
  withProxy(async ({ url, server }) => {
    server.answer = () => ({
      body: ["one", "two"].map((content) =>
        encoder.encode(JSON.stringify({ message: { content } }) + "\n")
      ),
    });
    const conversation = "c1";
    const request = { model: "demo", messages: [{ role: "user", content: "hello" }] };
    const begun = await fetch(
      `${url}/secllama/page/replies`,
      post({ conversation, request, note: { x: 1 } }),
    );
    assert.equal(begun.status, 201);
    const { id } = await begun.json();
    const at = `${url}/secllama/page/replies/${id}`;
    const [first, second] = await Promise.all([
      linesOf(await fetch(at)),
      linesOf(await fetch(at)),
    ]);
    assert.deepEqual(first, second);
    assert.equal(first[0]!["receipt"] !== undefined, true);
    assert.deepEqual(first.slice(1).map((line) => Object(line["message"]).content), ["one", "two"]);
    const list = async (query: string) =>
      (await (await fetch(`${url}/secllama/page/replies${query}`)).json()).replies;
    assert.deepEqual((await list("?conversation=c1"))[0].note, { x: 1 });
    assert.equal((await list(""))[0].note, undefined, "not for whoever names no conversation");
    assert.deepEqual(await list("?conversation=c2"), []);
    assert.equal((await list("/?conversation=c1")).length, 1, "with a slash at its end");
    assert.equal((await fetch(at, { method: "DELETE" })).status, 204);
    const gone = await fetch(at);
    assert.deepEqual([gone.status, (await gone.json()).code], [404, "not-found"]);
  }));

Deno.test("page: a foreign page, a desktop window and another name get nothing of it", () =>
  withProxy(async ({ url }) => {
    const replies = `${url}/secllama/page/replies`;
    const code = async (headers: Record<string, string>) => {
      const answer = await fetch(replies, { headers });
      const body = await answer.json();
      return body.code ?? "answered";
    };
    const { origin } = new URL(url);
    assert.equal(await code({ origin }), "answered");
    assert.equal(await code({ origin: "http://evil.example" }), "origin-refused");
    assert.equal(await code({ origin: "http://127.0.0.1:1" }), "origin-refused");
    assert.equal(await code({ origin: "null" }), "origin-refused");
    assert.equal(await code({ "sec-fetch-site": "cross-site" }), "origin-refused");
    assert.equal(await code({ "sec-fetch-site": "same-site" }), "origin-refused");
    // A desktop program's window may ask the API of models, as it does of Ollama. It is not the page.
    assert.equal(await code({ origin: "vscode-webview://x" }), "origin-refused");
    const api = await fetch(`${url}/api/version`, { headers: { origin: "vscode-webview://x" } });
    assert.equal(api.headers.get("access-control-allow-origin"), "vscode-webview://x");
    await api.body?.cancel();
    assert.match(
      await rawPost(url, { host: "rebound.example" }, "{}"),
      /^HTTP\/1.1 403 /i,
      "a name that leads here by DNS",
    );
  }));

Deno.test("page: where the kernel names no user, the launch secret makes a cookie, and nothing else does", () => {
  const launch = "x".repeat(43);
  return withProxy(async ({ url }) => {
    const replies = `${url}/secllama/page/replies`;
    const ask = async (cookie?: string) => {
      const answer = await fetch(replies, { headers: cookie === undefined ? {} : { cookie } });
      await answer.body?.cancel();
      return answer.status;
    };
    assert.equal(await ask(), 401);
    assert.equal((await fetch(url, HTML)).status, 200, "the program itself holds no secret");
    for (const wrong of ["", "y".repeat(43), launch.slice(1), launch + "x", 7, null, {}]) {
      const answer = await fetch(`${url}/secllama/page/enter`, post({ launch: wrong }));
      assert.deepEqual([answer.status, answer.headers.get("set-cookie")], [401, null]);
      await answer.body?.cancel();
    }
    const answer = await fetch(`${url}/secllama/page/enter`, post({ launch }));
    assert.equal(answer.status, 204);
    const cookie = answer.headers.get("set-cookie")!;
    assert.match(cookie, /^secllama-page-\d+=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/);
    assert.ok(!cookie.includes(launch), "the cookie is not the secret");
    const pair = cookie.split(";")[0]!;
    assert.equal(await ask(pair), 200);
    const shown = await fetch(replies, { headers: { "secllama-launch": launch } });
    assert.equal(shown.status, 200, "a command of this user");
    await shown.body?.cancel();
    assert.equal(await ask(`a=b; ${pair}`), 200);
    assert.equal(await ask(pair.slice(0, -1)), 401);
    assert.equal(await ask(`${pair.split("=")[0]}=${launch}`), 401, "the secret is no cookie");
  }, launch);
});

Deno.test("page: an answer is kept once, with nobody reading it, and what could not be kept says so", async () => {
  const conversation = "a".repeat(32);
  const kept: [string, NewMessage][] = [];
  let fails = false;
  await withProxy(
    async ({ url, server }) => {
      server.answer = () => ({
        body: ["one ", "two"].map((content, i) =>
          encoder.encode(JSON.stringify({ message: { content }, done: i === 1 }) + "\n")
        ),
      });
      const begin = async (save: unknown) =>
        await fetch(
          `${url}/secllama/page/replies`,
          post({ conversation, request: { model: "demo" }, save }),
        );
      const lines = async (save: unknown) => {
        const { id } = await (await begin(save)).json();
        return await linesOf(await fetch(`${url}/secllama/page/replies/${id}`));
      };
      const told = await lines({ parent: "3", model: "demo" });
      assert.deepEqual(told.at(-1), { saved: { id: "4" } });
      const [[at, message]] = kept as [[string, NewMessage]];
      assert.deepEqual(
        [at, message.parent, message.role, message.content, message.model],
        [conversation, "3", "assistant", "one two", "demo"],
      );
      fails = true;
      assert.match(String((await lines({ parent: "3", model: "demo" })).at(-1)!["error"]), /full/);
      assert.equal(kept.length, 1);
      assert.equal((await lines(undefined)).some((line) => "saved" in line), false);
      for (
        const wrong of [null, {}, { parent: "x", model: "m" }, { parent: "1" }, {
          parent: "0",
          model: "m",
        }]
      ) {
        const answer = await begin(wrong);
        assert.deepEqual([answer.status, (await answer.json()).code], [400, "bad-request"]);
      }
    },
    null,
    (id, message) => {
      if (fails) return Promise.reject(new SecLlamaError("disk-full", "the disk is full"));
      kept.push([id, message]);
      return Promise.resolve({ id: "4" });
    },
  );
});

Deno.test("page: what had come of an answer is kept when the proxy ends, before the history is closed", async () => {
  const [end, saving] = [new AbortController(), Promise.withResolvers<void>()];
  const kept: string[] = [];
  const replies = new Replies({
    signal: end.signal,
    onFailed: () => {},
    receipt: () => ({}),
    ask: (_, signal) => {
      const body = new ReadableStream({
        start(controller) {
          controller.enqueue(encoder.encode('{"message":{"content":"some of it"}}\n'));
          signal.addEventListener("abort", () => controller.error(signal.reason));
        },
      });
      return Promise.resolve(new Response(body));
    },
    save: async (_, { content }) => {
      await saving.promise;
      kept.push(content);
      return { id: "2" };
    },
  });
  const at = "http://127.0.0.1/secllama/page/replies";
  const save = { parent: "1", model: "demo" };
  const body = post({ conversation: "a".repeat(32), request: {}, save });
  const { id } = await (await replies.answer(new Request(at, body))).json();
  const reader = (await replies.answer(new Request(`${at}/${id}`))).body!.getReader();
  for (let text = ""; !text.includes("some of it");) {
    text += new TextDecoder().decode((await reader.read()).value);
  }
  await reader.cancel();
  end.abort();
  const settled = replies.settled();
  assert.deepEqual(kept, []);
  saving.resolve();
  await settled;
  assert.deepEqual(kept, ["some of it"]);
});

Deno.test("page: an answer that is not whole is kept as one that is not, and why", async () => {
  const message = (content: string, more: object = {}) =>
    JSON.stringify({ message: { content }, ...more }) + "\n";
  /** Of a body's chunks; undefined: the connection breaks. */
  const cases: readonly (readonly [ends: object, chunks: readonly (string | undefined)[]])[] = [
    [{}, [message("whole"), message("", { done: true, done_reason: "stop" })]],
    [{ cut: true }, [message("too long"), message("", { done: true, done_reason: "length" })]],
    [{ broken: true }, [message("half"), undefined]],
    [{ broken: true }, [message("half")]],
    [{ broken: true }, [message("half"), '{"error":"the runner ended"}\n']],
    [{ broken: true }, [message("half"), '{"message":{"cont']],
  ];
  for (const [ends, chunks] of cases) {
    const [end, saved] = [new AbortController(), Promise.withResolvers<NewMessage>()];
    const replies = new Replies({
      signal: end.signal,
      onFailed: () => {},
      receipt: () => ({}),
      ask: () => {
        const left = [...chunks];
        const pull = (controller: ReadableStreamDefaultController<Uint8Array>) => {
          if (left.length === 0) return controller.close();
          const chunk = left.shift();
          if (chunk === undefined) controller.error(new Error("reset"));
          else controller.enqueue(encoder.encode(chunk));
        };
        return Promise.resolve(new Response(new ReadableStream({ pull })));
      },
      save: (_, message) => {
        saved.resolve(message);
        return Promise.resolve({ id: "2" });
      },
    });
    const save = { parent: "1", model: "demo" };
    const body = post({ conversation: "a".repeat(32), request: {}, save });
    await replies.answer(new Request("http://127.0.0.1/secllama/page/replies", body));
    const { stats } = await saved.promise;
    const { broken, cut, stopped } = Object(stats);
    assert.deepEqual(JSON.parse(JSON.stringify({ broken, cut, stopped })), ends, chunks.join());
    end.abort();
    await replies.settled();
  }
});

Deno.test("page: where tokens are asked for, a browser that showed the launch secret is let in from our own page, and nobody else", () => {
  const launch = "x".repeat(43);
  const find = () => undefined;
  const gate = {
    tokens: { find, idIn: find, wasRevoked: () => false },
    guesses: new Guesses(),
    own: "own",
    logger: silentLogger,
  };
  return withProxy(
    async ({ url }) => {
      const status = async (path: string, headers: Record<string, string> = {}) => {
        const answer = await fetch(url + path, { headers });
        await answer.body?.cancel();
        return answer.status;
      };
      // Anybody of this user's gets the program, which holds nothing of theirs.
      assert.equal(await status("/", { accept: "text/html" }), 200);
      assert.equal(await status("/secllama/page/app.js"), 200);
      // The list would be refused to a browser that has yet to show the secret, and the page would take that for the answer.
      const html = await (await fetch(url, { headers: { accept: "text/html" } })).text();
      assert.ok(html.includes("app.js") && !html.includes("preload"), html);
      for (const path of ["/", "/api/tags", "/secllama/page/replies"]) {
        assert.equal(await status(path), 401, path);
      }
      const answer = await fetch(`${url}/secllama/page/enter`, post({ launch }));
      const [cookie] = answer.headers.get("set-cookie")!.split(";");
      for (const path of ["/api/tags", "/secllama/page/replies"]) {
        assert.equal(await status(path, { cookie: cookie! }), 200, path);
        assert.equal(await status(path, { cookie: `${cookie!}x` }), 401, path);
        // Pages of other ports of this host get the cookie sent, too.
        const foreign = { cookie: cookie!, origin: "http://127.0.0.1:9" };
        assert.equal(await status(path, foreign), 403, path);
      }
    },
    launch,
    undefined,
    gate,
  );
});
