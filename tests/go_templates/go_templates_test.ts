/**
 * Templates in Ollama's language, held against Go's own text/template: templates in the manner of real ones over every
 * shape of conversation, and generated ones. SECLLAMA_FULL=1 generates many.
 */
import assert from "node:assert/strict";
import { checkTemplate } from "../../src/models/template_check.ts";
import { conversation, CONVERSATIONS } from "./conversations.ts";
import { TemplateGenerator } from "./generate.ts";
import { type Case, GO, goVersion, type Outcome, removeOracle, renderWithGo } from "./oracle.ts";
import { renderWithOurs } from "./ours.ts";
import { seeded, seeds } from "../support/seeds.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
const CORPUS = new URL("./corpus/", import.meta.url);

const hasGo = await Deno.stat(GO).then(() => true, () => false);
if (!hasGo) console.log(`skipped: Go is not at ${GO} (apt-get install golang-go)`);

/** Go 1.24 has what older ones have not: numbers to range over. */
const isNewer = (outcome: Outcome) =>
  /range can't iterate over -?\d|expected end; found \{\{else/.test(outcome.error ?? "");

function differences(cases: readonly Case[], expected: readonly Outcome[], isOld: boolean) {
  const found: string[] = [];
  for (const [at, one] of cases.entries()) {
    const go = expected[at]!;
    // Addresses differ from run to run; what Go itself falls over says nothing.
    if (go.phase === "unstable" || go.phase === "panic" || isOld && isNewer(go)) continue;
    const ours = renderWithOurs(one);
    const same = go.phase === ours.phase && (go.phase !== undefined || go.text === ours.text);
    if (!same) {
      found.push(
        `${JSON.stringify(one)}\nGo:   ${JSON.stringify(go)}\nOurs: ${JSON.stringify(ours)}`,
      );
    }
  }
  return found;
}

function assertSame(found: readonly string[]): void {
  assert.equal(found.length, 0, `${found.length} differ, the first:\n${found[0]?.slice(0, 4000)}`);
}

Deno.test({
  name: "go templates: in the manner of real ones, every conversation makes Go's prompt",
  ignore: !hasGo,
  async fn() {
    const cases: Case[] = [];
    const names: string[] = [];
    for await (const { name } of Deno.readDir(CORPUS)) {
      const template = await Deno.readTextFile(new URL(name, CORPUS));
      checkTemplate(template);
      names.push(name);
      for (const chat of Object.values(CONVERSATIONS)) cases.push({ ...chat, template });
    }
    assert.ok(names.length >= 30, `${names.length} templates`);
    const expected = await renderWithGo(cases);
    const worked = expected.filter((one) => one.phase === undefined).length;
    assert.ok(worked > 0.9 * cases.length, `${worked} of ${cases.length} work with Go`);
    assertSame(differences(cases, expected, false));
  },
});

Deno.test({
  name: "go templates: generated ones are refused, fail and print as Go's",
  ignore: !hasGo,
  async fn() {
    const version = await goVersion();
    const random = seeded(seeds(1)[0]!);
    const generator = new TemplateGenerator(random, { newer: version >= 24 });
    const rounds = FULL ? 40 : 1;
    const counts = { ok: 0, parse: 0, run: 0 };
    for (let round = 0; round < rounds; round++) {
      const cases = Array.from({ length: FULL ? 2500 : 700 }, () => ({
        template: generator.template(),
        ...conversation(random),
      }));
      const expected = await renderWithGo(cases);
      for (const { phase } of expected) {
        if (phase === undefined) counts.ok++;
        else if (phase === "parse" || phase === "run") counts[phase]++;
      }
      assertSame(differences(cases, expected, version < 24));
    }
    // Each kind is there, or the generator has gone astray.
    assert.ok(Math.min(counts.ok, counts.parse, counts.run) > 50 * rounds, JSON.stringify(counts));
    console.log(`go 1.${version}: ${JSON.stringify(counts)}`);
  },
});

/** What random ones found, made small. */
const FOUND = [
  // The properties of a property are behind a pointer that Ollama keeps to itself.
  '{{ if false }}{{ .Messages }}{{ end }}{{ len (printf "%U" $.Tools) }} {{ len (printf "%d" $.Tools) }}',
];

Deno.test({
  name: "go templates: those that were found to differ once",
  ignore: !hasGo,
  async fn() {
    const random = seeded(1);
    const cases = FOUND.flatMap((template) =>
      Array.from({ length: 10 }, () => ({ template, ...conversation(random) }))
    );
    const expected = await renderWithGo(cases);
    assert.ok(expected.every(({ phase }) => phase === undefined));
    assertSame(differences(cases, expected, false));
  },
});

Deno.test({
  name: "go templates: a difference would be seen",
  ignore: !hasGo,
  async fn() {
    const cases = [{ template: "{{ .Prompt }}", messages: [{ role: "user", content: "a" }] }];
    const expected = await renderWithGo(cases);
    assert.deepEqual(expected, [{ text: "a" }]);
    assert.equal(differences(cases, [{ text: "b" }], false).length, 1);
    assert.equal(differences(cases, [{ text: "", phase: "run" }], false).length, 1);
  },
});

Deno.test({
  name: "go templates: the oracle is removed",
  ignore: !hasGo,
  fn: removeOracle,
});
