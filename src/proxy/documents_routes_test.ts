import assert from "node:assert/strict";
import type { DocumentSummary, PassageList } from "../api/documents.ts";
import { NAME_HEADER, type Scan, SCANNED_PAGES } from "../api/documents.ts";
import { BYTES_TYPE, JSON_TYPE } from "../api/media_types.ts";
import { pathOf, ROUTES } from "../api/routes.ts";
import { makePdf, makeScannedPdf, rgbImage } from "../documents/testing.ts";
import type { HistoryCalls } from "../history/calls.ts";
import { serviceOf, withPlace } from "../history/testing.ts";
import { Embeddings } from "./embeddings.ts";
import { makeHistoryRoutes } from "./history_routes.ts";

/** Where no model was named, none is asked. */
function embeddingsOf(history: HistoryCalls): Embeddings {
  const asked = () => Promise.reject(new Error("nothing is to be asked"));
  const { signal } = new AbortController();
  return new Embeddings({
    gateway: "http://127.0.0.1:9",
    fetch: asked,
    metadata: asked,
    history,
    signal,
  });
}

Deno.test("documents over HTTP: added, looked up in all or in those that are named, erased; bad input is named", () =>
  withPlace(async (place) => {
    using history = place.open();
    const service = serviceOf(history);
    const answer = makeHistoryRoutes(service, embeddingsOf(service.history));
    const ask = async <T>(method: string, path: string, body?: BodyInit, name?: string) => {
      const request = new Request(`http://127.0.0.1${path}`, {
        method,
        ...(body === undefined ? {} : { body }),
        headers: {
          "content-type": typeof body === "string" ? JSON_TYPE : BYTES_TYPE,
          ...(name === undefined ? {} : { [NAME_HEADER]: name }),
        },
      });
      return await (await answer(request)).json() as T;
    };
    const add = (name: string, text: string) =>
      ask<DocumentSummary>(
        "POST",
        ROUTES.documents.path,
        makePdf([text]),
        encodeURIComponent(name),
      );
    const a = await add("Miète ä.pdf", "The heron nests in March.");
    const b = await add("b.pdf", "The heron leaves in May.");
    assert.deepEqual([a.name, a.pages, a.type], ["Miète ä.pdf", 1, "pdf"]);
    const find = async (more: object) => {
      const body = JSON.stringify({ query: "heron", ...more });
      const { passages } = await ask<PassageList>("POST", ROUTES.documentSearch.path, body);
      return passages.map(({ document }) => document).sort();
    };
    assert.deepEqual(await find({}), [a.id, b.id].sort());
    assert.deepEqual(await find({ documents: [b.id] }), [b.id]);
    assert.deepEqual(await find({ documents: [] }), []);
    assert.equal((await find({ limit: 1 })).length, 1);
    for (
      const [more, field] of [
        [{ documents: "x" }, "documents"],
        [{ documents: ["../x"] }, "documents"],
        [{ documents: Array(1001).fill(a.id) }, "documents"],
        [{ limit: 0 }, "limit"],
        [{ query: 7 }, "query"],
        [{ query: "x".repeat(8001) }, "query"],
      ] as const
    ) await assert.rejects(find(more), { code: "bad-request", field });
    await assert.rejects(ask("POST", ROUTES.documents.path, makePdf(["x"])), {
      code: "bad-request",
    });
    await assert.rejects(ask("POST", ROUTES.documents.path, makePdf(["x"]), "%ff"), {
      code: "bad-request",
    });
    await ask("DELETE", pathOf(ROUTES.document, b.id));
    assert.deepEqual(await find({}), [a.id]);
    await assert.rejects(ask("DELETE", pathOf(ROUTES.document, b.id)), { code: "not-found" });
  }));

Deno.test("documents over HTTP: pages of a scan come as PNG, from the page that is asked for; nothing is kept", () =>
  withPlace(async (place) => {
    using history = place.open();
    const service = serviceOf(history);
    const answer = makeHistoryRoutes(service, embeddingsOf(service.history));
    const scan = async (bytes: Uint8Array<ArrayBuffer>, query = "") => {
      const url = `http://127.0.0.1${ROUTES.documentScan.path}${query}`;
      const headers = { "content-type": BYTES_TYPE };
      const reply = await answer(new Request(url, { method: "POST", body: bytes, headers }));
      return await reply.json() as Scan;
    };
    const file = () => makeScannedPdf(Array(9).fill(rgbImage(2, 2, new Uint8Array(12))));
    const { scanned, ...rest } = await scan(file());
    assert.deepEqual(rest, { pages: 9, next: 9, unread: 0 });
    assert.equal(scanned.length, SCANNED_PAGES);
    assert.ok(scanned.every(({ image }) => image.startsWith("iVBORw0KGgo")));
    const last = await scan(file(), "?first=9");
    assert.deepEqual([last.next, last.scanned.map(({ page }) => page)], [null, [9]]);
    for (const wrong of ["0", "-1", "1.5", "x", "", "10"]) {
      const refused = scan(file(), `?first=${wrong}`);
      await assert.rejects(refused, { code: "bad-request", field: "first" }, wrong);
    }
    await assert.rejects(scan(makePdf(["words"])), { code: "bad-request" });
    assert.deepEqual(history.documents(), []);
  }));

Deno.test("documents over HTTP: of many files that are sent at once, only as many are taken as are to be held in memory", () =>
  withPlace(async (place) => {
    using history = place.open();
    const { history: calls, ...bytes } = serviceOf(history);
    const gate = Promise.withResolvers<void>();
    const addDocument: HistoryCalls["addDocument"] = async (name, content) => {
      await gate.promise;
      return await calls.addDocument(name, content);
    };
    const slow = { ...calls, addDocument };
    const answer = makeHistoryRoutes({ ...bytes, history: slow }, embeddingsOf(slow));
    const send = (i: number) =>
      answer(
        new Request(`http://127.0.0.1${ROUTES.documents.path}`, {
          method: "POST",
          body: new TextEncoder().encode(`heron ${i}`),
          headers: { "content-type": BYTES_TYPE, [NAME_HEADER]: `${i}.txt` },
        }),
      );
    const sent = Array.from({ length: 10 }, (_, i) => send(i));
    await assert.rejects(sent[9]!, { code: "busy" });
    gate.resolve();
    const done = await Promise.allSettled(sent);
    assert.equal(done.filter(({ status }) => status === "fulfilled").length, 4);
    // Those that were refused can be sent again.
    assert.equal((await send(9)).status, 200);
    assert.equal(history.documents().length, 5);
  }));
