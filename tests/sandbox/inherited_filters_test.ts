/** The gateway's own seccomp filters, which each runner inherits, never count as the runner's. */
import assert from "node:assert/strict";
import type { InheritedAnswer, InheritedOrder } from "./inherited_filters_run.ts";
import { IDENTITIES, linuxOnly, makeStage, runStaged } from "./stage.ts";

Deno.test({
  name: "filters that the gateway has itself, as under systemd, are not taken for stage 2",
  ignore: linuxOnly,
  async fn(t) {
    const stage = await makeStage({ inherited: "tests/sandbox/inherited_filters_run.ts" });
    const { deno, attacker, libDir, model } = stage;
    try {
      for (const identity of IDENTITIES) {
        for (const own of [0, 3]) {
          await t.step(`${own} filters, as ${identity.name}`, async () => {
            const order: InheritedOrder = { stage: { deno, attacker, libDir, model }, own };
            const answer = await runStaged<InheritedAnswer>(stage, "inherited", order, identity);
            const state = (layers: InheritedAnswer["locked"], name: string) =>
              layers.find(({ layer }) => layer === name)?.state;
            assert.equal(state(answer.locked, "stage 2"), "enforced");
            assert.equal(state(answer.unlocked, "stage 2"), "missing");
            for (const layers of [answer.locked, answer.unlocked]) {
              assert.equal(state(layers, "seccomp"), "enforced");
            }
          });
        }
      }
    } finally {
      await stage.remove();
    }
  },
});
