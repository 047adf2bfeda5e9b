/** The model for embeddings as it may fail: gone, another one of its name, refusing a text, answering nonsense; each is said. */
import assert from "node:assert/strict";
import { ROUTES } from "../api/routes.ts";
import type { SealedFetch } from "../client/sealed_fetch.ts";
import { SecLlamaError } from "../errors.ts";
import { serviceOf, withPlace } from "../history/testing.ts";
import { until } from "../../tests/support/patience.ts";
import { Embeddings } from "./embeddings.ts";

/** Vectors of two numbers: whether a text is of birds. */
const vectorOf = (text: string) => /heron|stork/.test(text) ? [1, 0] : [0, 1];

/** A gateway with one model. */
class FakeModel {
  digest = "sha256:one";
  capabilities = ["embedding"];
  /** What `/api/embed` answers. */
  embeddings = (texts: string[]): unknown => texts.map(vectorOf);
  asked = 0;

  readonly metadata = ((path: string) => {
    if (`/${path}` === ROUTES.show.path) {
      return Promise.resolve(Response.json({ capabilities: this.capabilities }));
    }
    return Promise.resolve(
      Response.json({ models: this.digest ? [{ name: "bge:latest", digest: this.digest }] : [] }),
    );
  }) as SealedFetch["metadata"];

  readonly fetch = async (_url: string, init: RequestInit): Promise<Response> => {
    this.asked++;
    const { input } = await new Response(init.body!).json();
    try {
      return Response.json({ embeddings: this.embeddings(input) });
    } catch (error) {
      const { code, message } = error as SecLlamaError;
      return Response.json({ error: message, code }, { status: 400 });
    }
  };
}

async function withEmbeddings(
  body: (
    o: { model: FakeModel; embeddings: Embeddings; add: (text: string) => Promise<void> },
    history: ReturnType<typeof serviceOf>["history"],
  ) => Promise<void>,
): Promise<void> {
  await withPlace(async (place) => {
    using history = place.open();
    const controller = new AbortController();
    const model = new FakeModel();
    const service = serviceOf(history);
    const { fetch, metadata } = model;
    const embeddings = new Embeddings({
      gateway: "http://127.0.0.1:9",
      fetch,
      metadata,
      history: service.history,
      signal: controller.signal,
    });
    let n = 0;
    const add = async (text: string) => {
      await history.addDocument(`${n++}.txt`, new TextEncoder().encode(text));
    };
    try {
      await body({ model, embeddings, add }, service.history);
    } finally {
      controller.abort();
      await embeddings.settled();
    }
  });
}

Deno.test("embeddings: what is under way when they are switched off is not kept", () =>
  withPlace(async (place) => {
    using history = place.open();
    history.setEmbedding({ name: "bge", digest: "one" });
    await history.addDocument("0.txt", new TextEncoder().encode("The heron wades."));
    const next = (await history.unembedded("one"))!;
    const keep = () => history.addVectors(next, "one", [new Float32Array([1, 0])]);
    for (const other of [null, { name: "bge", digest: "two" }]) {
      history.setEmbedding(other);
      assert.throws(keep, { code: "not-found" });
    }
    history.setEmbedding({ name: "bge", digest: "one" });
    keep();
    assert.equal(await history.unembedded("one"), null);
  }));

Deno.test("embeddings: a name of the model that cannot be read keeps no word from being found", () =>
  withEmbeddings(async ({ model, embeddings, add }, history) => {
    await add("The heron wades.");
    Object.assign(history, {
      embedding: () => Promise.reject(new SecLlamaError("decrypt-failed", "its key is gone")),
    });
    const { passages, ranking, note } = await embeddings.search("heron", 5);
    assert.deepEqual([passages.length, ranking, note], [
      1,
      "bm25",
      "no embeddings: its key is gone",
    ]);
    assert.equal(model.asked, 0);
  }));

const isDone = (embeddings: Embeddings, count: number) =>
  until(async () => {
    const { embedded, running } = await embeddings.report();
    return embedded === count && !running;
  }, `${count} have embeddings`);

Deno.test("embeddings: what the model made is found, and what it cannot make is said; words are found all the same", () =>
  withEmbeddings(async ({ model, embeddings, add }) => {
    await add("The heron wades.");
    await embeddings.choose("bge");
    await isDone(embeddings, 1);
    const find = async (query = "storks") => {
      const { passages, ranking, note } = await embeddings.search(query, 5);
      return [passages.length, ranking, note ?? ""] as const;
    };
    assert.deepEqual(await find("a stork"), [1, "hybrid", ""]);
    // Another model under the same name: its vectors are not compared with the first one's.
    model.digest = "sha256:two";
    const [none, ranking, note] = await find("a stork");
    assert.deepEqual([none, ranking], [0, "bm25"]);
    assert.match(note, /bge:latest is another model than it was/);
    assert.deepEqual((await find("heron")).slice(0, 2), [1, "bm25"]);
    await embeddings.choose("bge");
    await isDone(embeddings, 1);
    assert.deepEqual(await find("a stork"), [1, "hybrid", ""]);
    // Gone, or nonsense instead of vectors.
    model.digest = "";
    assert.match((await find("a stork"))[2], /bge:latest is not here any more/);
    model.digest = "sha256:two";
    for (const wrong of [undefined, [], [["x"]], [[NaN]], "x"]) {
      model.embeddings = () => wrong;
      assert.match((await find("a stork"))[2], /no embeddings of the question/);
    }
    // What was added meanwhile waits, and the report says why; the next question has it made.
    await add("The stork nests.");
    embeddings.goOn();
    await until(async () => (await embeddings.report()).error !== undefined, "it failed");
    assert.match((await embeddings.report()).error!, /made no embeddings/);
    model.embeddings = (texts) => texts.map(vectorOf);
    assert.match((await find("a stork"))[2], /embeddings so far: 1 of 2 passages/);
    await isDone(embeddings, 2);
    assert.equal((await embeddings.report()).error, undefined);
    assert.equal((await find("heron"))[0], 2);
  }));

Deno.test("embeddings: a text that the model refuses keeps no other from being found", () =>
  withEmbeddings(async ({ model, embeddings, add }) => {
    const paragraph = (word: string) => `${word} ${"filler ".repeat(100)}`;
    await add([paragraph("poison"), paragraph("heron"), paragraph("sea")].join("\n\n"));
    model.embeddings = (texts) => {
      if (texts.some((text) => text.includes("poison") && !text.includes("heron"))) {
        throw new SecLlamaError("bad-request", "it has no tokens");
      }
      return texts.map(vectorOf);
    };
    await embeddings.choose("bge");
    await isDone(embeddings, 3);
    const { passages } = await embeddings.search("stork", 5);
    assert.match(passages[0]!.text, /heron/);
    // Nor do whole documents of such texts, whichever of them comes first.
    for (let i = 0; i < 8; i++) await add(paragraph(i === 4 ? "heron" : "poison"));
    embeddings.goOn();
    await isDone(embeddings, 11);
    assert.equal((await embeddings.search("stork", 2)).passages.length, 2);
    // One that refuses all that there is ends it, and says so.
    model.embeddings = () => {
      throw new SecLlamaError("bad-request", "it has no tokens");
    };
    await add(paragraph("sea"));
    embeddings.goOn();
    await until(async () => (await embeddings.report()).error !== undefined, "it failed");
    assert.match((await embeddings.report()).error!, /it has no tokens/);
  }));

Deno.test("embeddings: a model that makes none is not taken, and without one nothing is asked", () =>
  withEmbeddings(async ({ model, embeddings, add }) => {
    await add("The heron wades.");
    model.capabilities = ["completion"];
    await assert.rejects(embeddings.choose("bge"), { code: "bad-request", field: "model" });
    embeddings.goOn();
    assert.deepEqual((await embeddings.search("heron", 5)).ranking, "bm25");
    await isDone(embeddings, 0);
    assert.deepEqual(await embeddings.report(), {
      model: null,
      passages: 1,
      embedded: 0,
      running: false,
    });
    assert.equal(model.asked, 0);
  }));
