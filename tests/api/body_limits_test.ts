/** The limits that docs/api.md states for what a body is made of: at each a request is served, and with one more it is refused. */
import assert from "node:assert/strict";
import { testApi } from "../../runner/api/testing.ts";
import { ROUTES } from "../../src/api/routes.ts";

type Made = readonly [path: string, body: string];

const { chat, generate, embed, openaiChat, openaiCompletions, rerank, detokenize } = ROUTES;
const made = (path: string, fields: object): Made => [
  path,
  JSON.stringify({ model: "demo", stream: false, ...fields }),
];
const times = <T>(n: number, one: T): T[] => new Array<T>(n).fill(one);
const HI = { role: "user", content: "Hi" };
const PICTURE =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
/** A model that can do everything, of which no limit comes first. */
const SCRIPT = {
  pieces: ["Hi"],
  info: {
    contextLength: 1 << 20,
    slotContextLength: 1 << 20,
    embedLength: 1 << 20,
    capabilities: ["completion", "embedding", "tools", "vision", "rerank"],
  },
} as const;
/** The beginning of a body whose member "x", which nothing reads, is what is large. */
const BEGIN = '{"model":"demo","stream":false,"prompt":"Hi","x":';

/** By the row of the table: a body that has `n` of it. */
const BODIES: { readonly [what: string]: (n: number) => Made } = {
  // The body is one itself.
  "arrays and objects inside each other": (n) => [
    generate.path,
    `${BEGIN}${"[".repeat(n - 1)}${"]".repeat(n - 1)}}`,
  ],
  "arrays and objects": (n) => [generate.path, `${BEGIN}[${times(n - 2, "[]").join()}]}`],
  "elements and members (commas between them)": (n) => [
    generate.path,
    `${BEGIN}[${times(n - 2, "0").join()}]}`,
  ],
  "members of objects": (n) => [
    generate.path,
    `${BEGIN}{${times(n - 4, '"a":0').join()}}}`,
  ],
  "bytes that are not of strings": (n) => {
    // A string counts as one.
    const beside = (BEGIN + "0}").replace(/"[^"]*"/g, "s").length;
    return [generate.path, `${BEGIN}${" ".repeat(n - beside)}0}`];
  },
  "messages, and no more than the context has tokens": (n) =>
    made(chat.path, { messages: times(n, HI) }),
  "tools": (n) =>
    made(openaiChat.path, {
      messages: [HI],
      tools: Array.from(
        { length: n },
        (_, i) => ({ type: "function", function: { name: `f${i}` } }),
      ),
    }),
  "texts to make vectors of": (n) => made(embed.path, { input: times(n, "Hi") }),
  "documents to rank": (n) => made(rerank.path, { query: "Hi", documents: times(n, "Hi") }),
  "tokens in place of a text": (n) => made(detokenize.path, { tokens: times(n, 72) }),
  "pictures and sounds": (n) =>
    made(chat.path, { messages: [{ ...HI, images: times(n, PICTURE) }] }),
  "stop strings": (n) => made(generate.path, { prompt: "Hi", options: { stop: times(n, "END") } }),
  "characters of a stop string": (n) =>
    made(openaiCompletions.path, { prompt: "Hi", stop: "a".repeat(n) }),
  "replies to one request (`n`, times its prompts)": (n) =>
    made(openaiCompletions.path, { prompt: "Hi", n }),
  "characters of a call's arguments": (n) =>
    made(openaiChat.path, {
      messages: [HI, {
        role: "assistant",
        tool_calls: [{
          id: "a",
          type: "function",
          function: { name: "f", arguments: `{"a":"${"b".repeat(n - 8)}"}` },
        }],
      }, { role: "tool", tool_call_id: "a", content: "1" }],
    }),
};

/** The table of the page: what, and how many. */
async function documented(): Promise<Map<string, number>> {
  const page = await Deno.readTextFile(new URL("../../docs/api.md", import.meta.url));
  const [, table] = /^\| what +\| most +\|\n\|[-| ]+\|\n((?:\|.*\n)+)/m.exec(page)!;
  return new Map(
    table!.trim().split("\n").map((line) => {
      const [what, most] = line.split("|").slice(1, -1).map((cell) => cell.trim());
      return [what!, Number(most!.replaceAll(",", ""))] as const;
    }),
  );
}

Deno.test("docs/api.md: what a body is made of, at each limit and one beyond it", async () => {
  const limits = await documented();
  assert.deepEqual([...limits.keys()], Object.keys(BODIES));
  for (const [what, most] of limits) {
    const ask = async (n: number) => {
      const [path, body] = BODIES[what]!(n);
      const answer = await testApi(SCRIPT).post(path, body);
      return [answer.status, await answer.text()] as const;
    };
    const [status, text] = await ask(most);
    assert.equal(status, 200, `${what}: ${text.slice(0, 300)}`);
    const [refused, why] = await ask(most + 1);
    assert.equal(refused, 400, `${what}: ${why.slice(0, 300)}`);
    assert.ok(why.includes(String(most)), `${what}: ${why}`);
  }
});
