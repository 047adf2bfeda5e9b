/// <reference lib="dom" />
import assert from "node:assert/strict";
import { until } from "../../tests/support/patience.ts";
import { QUESTION_CHARACTERS } from "../api/documents.ts";
import { ROUTES } from "../api/routes.ts";
import { Actions } from "./actions.ts";
import { takeFolders } from "./folders.ts";
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

Deno.test("page: a question waits until it is known what a model that was just chosen can do", async () => {
  const seen = { id: "1", parent: null, role: "user", content: "what?", created: 1 } as const;
  const store = new Store(
    {
      open: { ...emptyConversation(true), messages: [{ ...seen, images: ["AAAA"] }] },
      ...{ models: [], model: "eye", capabilities: ["completion", "vision"], list: [] },
      ...{ keeping: { kind: "nothing", why: "" }, running: [], temporaries: [] },
    } as unknown as State,
  );
  const actions = new Actions(store);
  const shown = Promise.withResolvers<Response>();
  const asked: string[] = [];
  const page = globalThis as unknown as Record<string, unknown>;
  const before = { fetch: page["fetch"], location: page["location"], history: page["history"] };
  const fetch = (path: string, init?: RequestInit) => {
    if (path === ROUTES.show.path) return shown.promise;
    asked.push(String(init?.body));
    return Promise.resolve(Response.json({ error: "no", code: "internal" }, { status: 500 }));
  };
  Object.assign(page, { fetch, location: { pathname: "/" }, history: { replaceState() {} } });
  try {
    const choosing = actions.chooseModel("blind");
    const sending = actions.send({ text: "and now?" });
    await new Promise((resolve) => setTimeout(resolve, 0));
    assert.equal(asked.length, 0, "nothing is known of the model yet");
    const told: (string | undefined)[] = [];
    store.subscribe(() => told.push(store.state.notice?.text));
    shown.resolve(Response.json({ capabilities: ["completion"] }));
    await choosing;
    assert.equal(await sending, true);
    await until(() => store.state.running.length === 0, "the answer failed");
    assert.ok(told.some((text) => text?.startsWith("blind does not see the pictures")));
    const [body] = asked.filter((one) => one.includes("and now?"));
    const [first] = JSON.parse(body!).request.messages;
    assert.deepEqual(first, {
      role: "user",
      content: "[a picture that you cannot see]\n\nwhat?",
    });
  } finally {
    Object.assign(page, before);
  }
});

Deno.test("page: while a question is kept, what another tab said stays, and another conversation that is opened too", async () => {
  const said = { parent: null, role: "user", content: "first", created: 1 } as const;
  const kept = {
    ...emptyConversation(false),
    id: "a".repeat(32),
    messages: [{ ...said, id: "1" }],
  };
  const keeping = { kind: "kept", writable: true };
  const store = new Store(
    {
      ...{ open: kept, models: [], model: "demo", capabilities: [], keeping, query: "" },
      ...{ list: [], running: [], temporaries: [], folder: undefined },
    } as unknown as State,
  );
  const actions = new Actions(store);
  let keep = Promise.withResolvers<Response>();
  let asked = Promise.withResolvers<void>();
  const page = globalThis as unknown as Record<string, unknown>;
  const before = { fetch: page["fetch"], location: page["location"], history: page["history"] };
  const fetch = (path: string) => {
    if (!path.endsWith("/messages")) {
      return Promise.resolve(Response.json({ error: "no", code: "internal" }, { status: 500 }));
    }
    asked.resolve();
    return keep.promise;
  };
  Object.assign(page, { fetch, location: { pathname: "/" }, history: { replaceState() {} } });
  try {
    const sending = actions.send({ text: "second" });
    await asked.promise;
    const other = { ...said, id: "2", parent: "1", role: "assistant", content: "other" } as const;
    store.set({ open: { ...kept, messages: [...kept.messages, other] } });
    keep.resolve(Response.json({ id: "3" }));
    assert.equal(await sending, true);
    assert.deepEqual(store.state.open.messages.slice(0, 3).map(({ id }) => id), ["1", "2", "3"]);
    await until(() => store.state.running.length === 0, "the answer failed");
    [keep, asked] = [Promise.withResolvers(), Promise.withResolvers()];
    const again = actions.send({ text: "third" });
    await asked.promise;
    const temporary = { ...emptyConversation(true), messages: [{ ...said, id: "x" }] };
    store.set({ open: temporary });
    keep.resolve(Response.json({ id: "4" }));
    assert.equal(await again, true);
    assert.equal(store.state.open, temporary);
  } finally {
    Object.assign(page, before);
  }
});

Deno.test("page: a question that cannot be kept leaves no empty conversation, whatever is shown by then", async () => {
  const keeping = { kind: "kept", writable: true };
  const store = new Store(
    {
      ...{ open: emptyConversation(false), models: [], model: "demo", capabilities: [], keeping },
      ...{ list: [], running: [], temporaries: [], folder: undefined, query: "" },
    } as unknown as State,
  );
  const actions = new Actions(store);
  const page = globalThis as unknown as Record<string, unknown>;
  const before = { fetch: page["fetch"], location: page["location"], history: page["history"] };
  const there = new Set<string>();
  const asked: string[] = [];
  let made = 0;
  let creating = () => {};
  const fetch = (path: string, { method } = { method: "GET" }) => {
    const [, id, what] = /history\/([0-9a-f]{32})\/(\w+)/.exec(path) ?? [];
    asked.push(`${method} ${what ?? path}`);
    if (path.startsWith("/secllama/history?")) {
      return Promise.resolve(Response.json({ conversations: [], folders: [], writable: true }));
    }
    if (what === "messages") {
      return Promise.resolve(Response.json({ error: "full", code: "disk-full" }, { status: 507 }));
    }
    if (what === "erase") there.delete(id!);
    else {
      there.add(`${++made}`.padStart(32, "0"));
      creating();
    }
    return Promise.resolve(Response.json({ id: `${made}`.padStart(32, "0") }));
  };
  Object.assign(page, { fetch, location: { pathname: "/" }, history: { replaceState() {} } });
  try {
    await actions.library.refresh();
    const { open } = store.state;
    for (let tries = 1; tries <= 2; tries++) {
      assert.equal(await actions.send({ text: "first" }), false);
      assert.equal(store.state.notice?.text, "full");
      assert.equal(store.state.open, open, "it is as it was, and can be asked again");
      assert.deepEqual([made, [...there]], [tries, []]);
    }
    // Another conversation is opened while the new one is made.
    const other = emptyConversation(false);
    creating = () => store.set({ open: other });
    assert.equal(await actions.send({ text: "first" }), false);
    assert.equal(store.state.open, other);
    assert.deepEqual([made, [...there]], [3, []], asked.join());
  } finally {
    Object.assign(page, before);
  }
});

Deno.test("page: what is found in conversations is shown before, and without, what is found in documents", async () => {
  const state = { open: emptyConversation(true), query: "", passages: [] } as unknown as State;
  const store = new Store(state);
  const actions = new Actions(store);
  const passages = Promise.withResolvers<Response>();
  const [shown, failed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  store.subscribe(() => {
    if (store.state.hits) shown.resolve();
    if (store.state.notice) failed.resolve();
  });
  const { fetch } = globalThis;
  globalThis.fetch = (path) =>
    path === ROUTES.documentSearch.path
      ? passages.promise
      : Promise.resolve(Response.json({ hits: [{ id: "a", title: "t", snippet: "kestrel" }] }));
  try {
    actions.library.search("kestrel");
    await shown.promise;
    assert.equal(store.state.hits?.length, 1);
    passages.resolve(Response.json({ error: "no", code: "internal" }, { status: 500 }));
    await failed.promise;
    assert.equal(store.state.hits?.length, 1);
    assert.deepEqual(store.state.passages, []);
  } finally {
    globalThis.fetch = fetch;
  }
});

/** A dropped folder, as a browser gives it; what is `undefined` in it cannot be read. */
function entryOf(path: string, inner: unknown): FileSystemEntry {
  const name = path.split("/").at(-1)!;
  const common = { name, fullPath: path };
  if (typeof inner !== "object") {
    return {
      ...common,
      isDirectory: false,
      file: (resolve: (file: File) => void, reject: (error: Error) => void) =>
        inner === undefined ? reject(new Error("gone")) : resolve(new File([String(inner)], name)),
    } as unknown as FileSystemEntry;
  }
  const parts = inner && [
    Object.entries(inner).map(([name, one]) => entryOf(`${path}/${name}`, one)),
    [],
  ];
  const readEntries = (
    resolve: (entries: FileSystemEntry[]) => void,
    reject: (error: Error) => void,
  ) => parts ? resolve(parts.shift()!) : reject(new Error("not allowed"));
  return {
    ...common,
    isDirectory: true,
    createReader: () => ({ readEntries }),
  } as unknown as FileSystemEntry;
}

Deno.test("page: of a dropped folder what can be read is taken, and what cannot be is named", async () => {
  const store = new Store({ sources: [] } as unknown as State);
  const { fetch } = globalThis;
  let sent = 0;
  globalThis.fetch = () => Promise.resolve(Response.json({ id: `${++sent}`, name: `${sent}` }));
  try {
    const folder = entryOf("/f", {
      "a.txt": "a",
      "b.txt": undefined,
      c: null,
      d: { "e.txt": "e" },
    });
    await takeFolders({ store } as unknown as Actions, [folder as FileSystemDirectoryEntry]);
  } finally {
    globalThis.fetch = fetch;
  }
  assert.equal(sent, 2);
  const { text, hint } = store.state.notice!;
  assert.equal(text, "2 of 4 documents taken");
  assert.equal(hint, "f/b.txt: not readable; f/c: not readable");
});
