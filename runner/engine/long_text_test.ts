/** How long texts are looked at before they are tokenized. */
import assert from "node:assert/strict";
import { runAtOnce } from "../../src/budget.ts";
import { inProportion } from "../../tests/support/patience.ts";
import { estimateTokens } from "./long_text.ts";

Deno.test("long text: places to cut are looked for nearby, and of what is very long the rest is taken to be alike", () =>
  inProportion("a text without spaces", () => {
    const units = 30_000_000;
    // From texts that are in one piece.
    const text = new TextDecoder().decode(new Uint8Array(units).fill(0x78));
    let counted = 0;
    const count = (part: string) => (counted += part.length, Math.ceil(part.length / 4));
    const about = runAtOnce(estimateTokens(text, Infinity, count));
    assert.ok(about > units / 5 && about <= units / 4, `${about} tokens`);
    assert.ok(counted < units / 4, `${counted} of ${units} units were tokenized`);
    // Whoever has room for so many goes by nothing but what is there.
    assert.ok(runAtOnce(estimateTokens(text, units, count)) < units / 4);
    assert.ok(counted > units);
  }));
