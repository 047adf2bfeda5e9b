/** What grammars of random schemas permit, judged by Python's jsonschema. */
import assert from "node:assert/strict";
import { SecLlamaError } from "../../src/errors.ts";
import { GrammarProbe } from "../engine/testing_grammar.ts";
import { collect, modelTest, request, withEngine } from "../engine/testing.ts";
import { DEFAULT_SAMPLING } from "../engine/types.ts";
import { TestGrammar } from "./testing_gbnf.ts";
import { seeded } from "../../tests/support/seeds.ts";
import { SchemaGenerator } from "./testing_schemas.ts";
import { schemaGrammar } from "./testing.ts";
import { judge } from "./testing_judge.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";

interface Case {
  readonly schema: unknown;
  readonly written: readonly string[];
  readonly others: readonly string[];
  readonly grammar: TestGrammar;
}

/** Texts of a value with the properties of its objects in all orders, up to a number. */
function orders(value: unknown, most = 60): string[] {
  if (value === null || typeof value !== "object") return [JSON.stringify(value)];
  const parts = Object.entries(value).map(([name, inner]) =>
    orders(inner, 6).map((text) => Array.isArray(value) ? text : `${JSON.stringify(name)}:${text}`)
  );
  let out: string[][] = [[]];
  for (const choices of parts) {
    out = out.flatMap((before) => choices.map((one) => [...before, one])).slice(0, most);
  }
  if (Array.isArray(value)) return out.map((items) => `[${items.join(",")}]`);
  const permutations = (list: string[]): string[][] =>
    list.length < 2
      ? [list]
      : list.flatMap((one, at) =>
        permutations(list.toSpliced(at, 1)).map((rest) => [one, ...rest])
      );
  return out.flatMap(permutations).slice(0, most).map((items) => `{${items.join(",")}}`);
}

Deno.test("schema: every text that a random schema's grammar takes is valid", async () => {
  const count = FULL ? 6000 : 120;
  const first = Number(Deno.env.get("SECLLAMA_SEED") ?? 0);
  const cases: Case[] = [];
  const nothing: { schema: unknown; texts: string[] }[] = [];
  const refusals = new Map<string, number>();
  for (let seed = first; seed < first + count; seed++) {
    const random = seeded(seed);
    const generator = new SchemaGenerator(random);
    const schema = generator.document();
    let grammar: TestGrammar;
    try {
      grammar = new TestGrammar(schemaGrammar(schema));
    } catch (error) {
      assert.ok(
        error instanceof SecLlamaError && error.code === "bad-request",
        `${seed}: ${JSON.stringify(schema)} ${(error as Error).stack}`,
      );
      const keyword = /"(\w+|\$\w+)" at #/.exec(error.message)?.[1];
      assert.ok(keyword !== undefined, error.message);
      const kind = `${keyword}: ${
        error.message.replace(/^.*?: /, "").replace(/\d+/g, "n").slice(0, 90)
      }`;
      refusals.set(kind, (refusals.get(kind) ?? 0) + 1);
      if (error.message.includes("permits nothing")) {
        const texts = Array.from({ length: 20 }, () => JSON.stringify(generator.value()));
        nothing.push({ schema, texts });
      }
      continue;
    }
    const written = Array.from({ length: 6 }, () => grammar.sample(random, 60));
    const values = [
      ...written.map((text) => generator.changed(JSON.parse(text))),
      ...Array.from({ length: 4 }, () => generator.value()),
    ];
    cases.push({ schema, written, others: values.map((value) => JSON.stringify(value)), grammar });
  }
  const answers = await judge(
    cases.map(({ schema, written, others }) => ({ schema, texts: [...written, ...others] })),
  );
  let [valid, accepted] = [0, 0];
  const missed: string[] = [];
  cases.forEach(({ schema, written, others, grammar }, at) => {
    const answer = answers[at];
    assert.ok(answer, `no schema: ${JSON.stringify(schema)}`);
    const types = new Set(written.map((text) => text[0]!.replace(/[-0-9]/, "0")));
    written.forEach((text, index) => {
      assert.equal(answer[index], true, `${JSON.stringify(schema)} took ${text}`);
    });
    others.forEach((text, index) => {
      // A schema without a type is taken for that of its keywords.
      if (answer[written.length + index] !== true || !types.has(text[0]!.replace(/[-0-9]/, "0"))) {
        return;
      }
      valid++;
      if (orders(JSON.parse(text)).some((one) => grammar.accepts(one))) accepted++;
      else missed.push(`${JSON.stringify(schema)} missed ${text}`);
    });
  });
  (await judge(nothing)).forEach((answer, at) => {
    const { schema, texts } = nothing[at]!;
    const valid = texts.filter((_, index) => answer?.[index] === true);
    if (valid.length > 0) missed.push(`${JSON.stringify(schema)} permits ${valid.join(" ")}`);
  });
  assert.ok(cases.length > count / 2, `only ${cases.length} grammars`);
  assert.ok(accepted > 0.9 * valid, `of ${valid} valid values the grammars take ${accepted}`);
  const most = [...refusals].sort((a, b) => b[1] - a[1]);
  console.log(
    `${cases.length} of ${count} schemas made grammars; of ${valid} other values that are valid, they take ${accepted}`,
  );
  if (Deno.env.get("SECLLAMA_SHOW")) {
    most.slice(0, 40).forEach(([kind, times]) => console.log(`${times} refused: ${kind}`));
    missed.filter((line, at) =>
      line.includes(" permits ") || at % Math.ceil(missed.length / 40) === 0
    ).forEach((line) => console.log(line.slice(0, 900)));
  }
});

modelTest(
  "schema: llama.cpp takes what grammars write, and what it writes is valid",
  (modelPath) =>
    withEngine({ modelPath }, async (engine) => {
      const probe = new GrammarProbe(modelPath);
      const cases: { schema: unknown; texts: string[] }[] = [];
      for (let seed = 10_000; cases.length < (FULL ? 300 : 12); seed++) {
        const random = seeded(seed);
        const schema = new SchemaGenerator(random).document();
        let source: string;
        try {
          source = schemaGrammar(schema);
        } catch {
          continue;
        }
        const written = new TestGrammar(source).sample(random, 60);
        assert.equal(probe.accepts(source, written), true, `${JSON.stringify(schema)}: ${written}`);
        const sampling = { ...DEFAULT_SAMPLING, temperature: 1.5, topK: 0, topP: 1, seed };
        const of = request("Once", { grammar: source, maxTokens: 120, sampling });
        const { text, done } = await collect(engine, of);
        // llama.cpp takes broken UTF-8 for characters, which a model without sense writes.
        const whole = done.reason === "stop" && !text.includes("\ufffd");
        cases.push({ schema, texts: whole ? [text] : [] });
      }
      probe.free();
      const answers = await judge(cases);
      const ended = cases.filter(({ texts }) => texts.length > 0).length;
      assert.ok(ended > cases.length / 3, `only ${ended} replies ended`);
      cases.forEach(({ schema, texts }, at) => {
        for (const answer of answers[at] ?? []) {
          assert.equal(answer, true, `${JSON.stringify(schema)} got ${texts[0]}`);
        }
      });
    }),
);
