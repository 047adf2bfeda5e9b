import assert from "node:assert/strict";
import { QUESTION_CHARACTERS } from "../api/documents.ts";
import { ROUTES } from "../api/routes.ts";
import { Actions } from "./actions.ts";
import { emptyConversation } from "./library.ts";
import { type State, Store } from "./state.ts";

Deno.test("page: a question goes into the conversation that was shown when it was asked, or into none", async () => {
  const state = {
    open: emptyConversation(true),
    models: [],
    model: "demo",
    capabilities: [],
    keeping: { kind: "nothing", why: "" },
    list: [],
    running: [],
    temporaries: [],
  } as unknown as State;
  const store = new Store(state);
  const actions = new Actions(store);
  const [asked, searched] = [[] as string[], Promise.withResolvers<Response>()];
  let query = "";
  const { fetch } = globalThis;
  globalThis.fetch = (path, init) => {
    if (path !== ROUTES.documentSearch.path) {
      asked.push(String(path));
      return Promise.resolve(Response.json({ error: "no", code: "internal" }, { status: 500 }));
    }
    query = JSON.parse(String(init?.body)).query;
    return searched.promise;
  };
  try {
    await actions.library.refresh();
    asked.length = 0;
    const sending = actions.send({
      text: "q".repeat(QUESTION_CHARACTERS + 1),
      sources: [{ id: "a".repeat(32), name: "lease.pdf" }],
    });
    const other = emptyConversation(true);
    store.set({ open: other });
    searched.resolve(Response.json({ passages: [], ranking: "bm25" }));
    assert.equal(await sending, false);
    assert.deepEqual(store.state.open, other);
    assert.deepEqual(asked, [], "nothing was asked of a model");
    assert.equal(
      query.length,
      QUESTION_CHARACTERS,
      "a long question is looked up by its beginning",
    );
  } finally {
    globalThis.fetch = fetch;
  }
});
