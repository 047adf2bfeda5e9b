/**
 * The history for a command: asked of the proxy that runs, which has its keys and writes it; without one, opened here. Either way
 * the command sees the same conversations.
 */
import {
  type DocumentSummary,
  type EmbeddingReport,
  NAME_HEADER,
  type PassageList,
  QUESTION_CHARACTERS,
} from "../../api/documents.ts";
import type { ConversationSummary, Prompt } from "../../api/history.ts";
import { readError } from "../../api/errors.ts";
import { HINTS } from "../../hints.ts";
import { pathOf, ROUTES } from "../../api/routes.ts";
import { openVaultFrom } from "../../app/history.ts";
import {
  askLocalProxy,
  type LocalProxy,
  type LocalRequest,
  NoOwnProxy,
} from "../../app/local_proxy.ts";
import { SecLlamaError } from "../../errors.ts";
import { CALLS, type HistoryCalls } from "../../history/calls.ts";
import { listAll } from "../../history/export.ts";
import { History } from "../../history/history.ts";
import { hardenSelf } from "../../sandbox/mod.ts";
import type { CommandContext, OptionTable } from "../command.ts";
import { keySourceOptions, LASTING_KEY_OPTIONS } from "../key_options.ts";
import { ASKED_PROXY_OPTION, askedProxy, readSettings } from "../settings.ts";

/** The options of every command that needs the history. */
export const HISTORY_OPTIONS: OptionTable = { ...ASKED_PROXY_OPTION, ...LASTING_KEY_OPTIONS };

/** What a command asks; how vectors are made is between the proxy and the history. */
type AskedCalls = Omit<
  HistoryCalls,
  | "searchDocuments"
  | "embedding"
  | "setEmbedding"
  | "unembedded"
  | "addVectors"
  | "scanDocument"
>;

/** The history, and its end. */
export interface OpenHistory extends Disposable {
  readonly history: AskedCalls;
  /** Passages that fit a question. Without a proxy, by their words alone. */
  find(question: string, limit: number): Promise<PassageList>;
  /** The model that makes vectors of documents, after it was changed if one is given; null: none. Undefined: no proxy runs. */
  embedding(chosen?: string | null): Promise<EmbeddingReport | undefined>;
}

/**
 * The history as this command finds it.
 * @param signal Ends requests to the proxy; default: with the command.
 * @throws {SecLlamaError} What the key store and the history throw.
 */
export async function openHistory(
  context: CommandContext,
  signal: AbortSignal = context.signal,
): Promise<OpenHistory> {
  const settings = await readSettings(context);
  const proxy = askedProxy(settings, context);
  if (await runs(proxy, signal)) {
    return { ...overHttp(proxy, signal), [Symbol.dispose]() {} };
  }
  hardenSelf(); // before a key is in memory
  const { dataDir } = settings;
  const vault = await openVaultFrom(() => keySourceOptions(context, dataDir))();
  const history = new History({ dataDir, vault });
  const call = (name: typeof CALLS[number]) => (...values: unknown[]) =>
    Promise.try(() => (history[name] as (...values: unknown[]) => unknown)(...values));
  return {
    history: Object.fromEntries(CALLS.map((name) => [name, call(name)])) as unknown as AskedCalls,
    find: async (question, limit) => ({
      passages: await history.searchDocuments(question, limit),
      ranking: "bm25",
      ...((await history.embedding()).chosen === null
        ? {}
        : { note: "no proxy runs that could ask for embeddings of the question" }),
    }),
    embedding: () => Promise.resolve(undefined),
    [Symbol.dispose]: () => history[Symbol.dispose](),
  };
}

/** Whether a proxy of this user's answers there that has the history's paths. */
async function runs(proxy: LocalProxy, signal: AbortSignal): Promise<boolean> {
  try {
    const answer = await askLocalProxy(proxy, {
      method: "GET",
      path: `${ROUTES.history.path}?limit=1`,
      signal,
    });
    if (answer.ok) {
      await answer.body?.cancel();
      return true;
    }
    const error = await readError(answer);
    // An older proxy, or one whose key dies with it: a lasting history, if there is one, is opened here.
    if (["not-found", "key-refused"].includes(error.code)) return false;
    throw error;
  } catch (error) {
    if (error instanceof NoOwnProxy) return false;
    throw error;
  }
}

function overHttp(proxy: LocalProxy, signal: AbortSignal): Omit<OpenHistory, keyof Disposable> {
  const ask = async <T>(
    method: LocalRequest["method"],
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<T> => {
    const answer = await askLocalProxy(proxy, {
      method,
      path,
      ...(body === undefined ? {} : {
        body: body instanceof Uint8Array ? body : JSON.stringify(body),
      }),
      headers,
      signal,
    });
    if (!answer.ok) throw await readError(answer);
    return await answer.json();
  };
  const { history, conversation, messages, undelete, erase, prompts } = ROUTES;
  const asked: AskedCalls = {
    list: ({ query, limit, before } = {}) => {
      const asked = Object.entries({ query, limit, before }).filter(([, value]) =>
        value !== undefined
      ).map(([name, value]) => [name, String(value)]);
      return ask("GET", `${history.path}?${new URLSearchParams(asked)}`);
    },
    create: (fields = {}) => ask("POST", history.path, fields),
    get: (id) => ask("GET", pathOf(conversation, id)),
    update: (id, fields) => ask("PATCH", pathOf(conversation, id), fields),
    append: (id, message) => ask("POST", pathOf(messages, id), message),
    remove: (id) => ask("DELETE", pathOf(conversation, id)),
    undelete: (id) => ask("POST", pathOf(undelete, id), {}),
    erase: async (ids) => {
      for (const id of ids) await ask("POST", pathOf(erase, id), {});
    },
    search: async (query, limit) => {
      const { hits } = await ask<{ hits: Awaited<ReturnType<HistoryCalls["search"]>> }>(
        "POST",
        ROUTES.historySearch.path,
        { query, ...(limit === undefined ? {} : { limit }) },
      );
      return hits;
    },
    prompts: async () => (await ask<{ prompts: Prompt[] }>("GET", prompts.path)).prompts,
    setPrompts: (all) => ask("PUT", prompts.path, { prompts: all }),
    documents: async () =>
      (await ask<{ documents: DocumentSummary[] }>("GET", ROUTES.documents.path)).documents,
    addDocument: (name, bytes) =>
      ask("POST", ROUTES.documents.path, bytes, { [NAME_HEADER]: encodeURIComponent(name) }),
    removeDocument: (id) => ask("DELETE", pathOf(ROUTES.document, id)),
    importFile: (bytes) => ask("POST", ROUTES.historyImport.path, bytes),
  };
  return {
    history: asked,
    find: (question, limit) => {
      const query = question.slice(0, QUESTION_CHARACTERS);
      return ask("POST", ROUTES.documentSearch.path, { query, limit });
    },
    embedding: (model) => {
      const { path } = ROUTES.documentModel;
      return model === undefined ? ask("GET", path) : ask("PUT", path, { model });
    },
  };
}

/**
 * The one conversation whose id begins with `text`.
 * @throws {SecLlamaError} `not-found`; `usage` if there are several, or it is no beginning of an id.
 */
export async function findConversation(
  history: Pick<HistoryCalls, "list">,
  text: string,
): Promise<ConversationSummary> {
  if (!/^[0-9a-f]{2,32}$/.test(text)) {
    throw new SecLlamaError("usage", "a conversation is named by its id, or the id's beginning", {
      hint: HINTS.historyList,
    });
  }
  const found = (await listAll(history)).filter(({ id }) => id.startsWith(text));
  if (found.length === 1) return found[0]!;
  if (found.length > 1) {
    throw new SecLlamaError("usage", `${found.length} conversations begin with ${text}`, {
      hint: "give more digits of the id",
    });
  }
  throw new SecLlamaError("not-found", "the history has no such conversation", {
    hint: HINTS.historyList,
  });
}
