/**
 * Attacks from both places of a sandbox that holds an engine. That each works without a sandbox is shown by
 * tests/sandbox/matrix_test.ts. A plain run makes those on the network, of which every one must fail, and a sample of the others; with
 * SECLLAMA_FULL=1 all are made, for each kind of engine.
 */
import assert from "node:assert/strict";
import { ENGINE_KINDS, type EngineKind } from "../../src/api/engine_kinds.ts";
import { ATTACKS } from "../../src/escape/attacks/list.ts";
import { NETWORK } from "../../src/escape/attacks/network.ts";
import { IDENTITIES, linuxOnly, makeStage, runStaged } from "../sandbox/stage.ts";
import type { AttacksOrder, PlaceResult } from "./attacks_run.ts";

const full = Deno.env.get("SECLLAMA_FULL") === "1";

/** What goes from an engine's place that does not go from a runner's: there is no second filter. */
const NO_STAGE_2 = ["become dumpable", "executable memory"];
/** What an engine that starts processes may besides. They stay in its pid namespace, its filter and its count of processes. */
const PROCESSES = ["exec itself again", "exec the loader", "fork", "fork bomb"];

const EXPECTED: { readonly [kind in EngineKind]: readonly string[] } = {
  "llama-server": NO_STAGE_2,
  vllm: [...NO_STAGE_2, ...PROCESSES],
};

const network = NETWORK.map(({ name }) => name);
const sample = [...network, ...ATTACKS.map(({ name }) => name).filter((_, at) => at % 9 === 4)];

Deno.test({
  name: "with an engine in the sandbox no attack reaches a network, from its place or the runner's",
  ignore: linuxOnly,
  async fn(t) {
    const stage = await makeStage({ attacks: "tests/engine/attacks_run.ts" });
    try {
      for (const [i, { name, asUser }] of IDENTITIES.entries()) {
        for (const kind of ENGINE_KINDS) {
          // In a plain run each kind once, by another user.
          if (!full && IDENTITIES.length > 1 && ENGINE_KINDS[i] !== kind) continue;
          await t.step(`${name}, ${kind}`, async () => {
            const attacks = full ? ATTACKS.map((attack) => attack.name) : [...new Set(sample)];
            const order: AttacksOrder = { stage, kind, attacks, runner: kind === "llama-server" };
            const places = await runStaged<PlaceResult[]>(stage, "attacks", order, { asUser });
            assert.deepEqual(
              places.map(({ place }) => place),
              order.runner ? ["runner", "engine"] : ["engine"],
            );
            for (const { place, cells, hits, changed, before, after } of places) {
              const of = (verdict: string) =>
                Object.keys(cells).filter((attack) => cells[attack]!.verdict === verdict).sort();
              const expected = place === "engine" ? EXPECTED[kind] : [];
              assert.deepEqual(of("out"), expected.filter((one) => attacks.includes(one)).sort());
              assert.deepEqual(of("not run"), [], place);
              assert.equal(Object.keys(cells).length, attacks.length);
              // What counts is what the listeners saw.
              assert.deepEqual(Object.values(hits).filter((count) => count > 0), [], place);
              assert.ok(Object.keys(hits).length >= 8);
              assert.deepEqual(changed, []);
              // What holds the attacks lets the work through.
              assert.ok(before !== "" && after !== "", place);
            }
          });
        }
      }
    } finally {
      await stage.remove();
    }
  },
});
