import assert from "node:assert/strict";
import { mayAsk, parseRole } from "./role.ts";

Deno.test("roles: patterns of models, against a regular expression", () => {
  const models = [
    "demo:latest",
    "llama3:8b",
    "registry.example/me/llama3:8b",
    "a:b",
    "DEMO:latest",
  ];
  const patterns = [
    "demo",
    "*",
    "llama*",
    "*llama3",
    "demo:latest",
    "demo:*",
    "*:8b",
    "l*3",
    "**a*",
  ];
  for (const pattern of patterns) {
    const text = pattern.replaceAll(/[.\/]/g, "\\$&").replaceAll(/\*+/g, ".*");
    const whole = new RegExp(`^${text}$`, "i");
    for (const model of models) {
      const expected = whole.test(pattern.includes(":") ? model : model.replace(/:[^:/]*$/, ""));
      assert.equal(
        mayAsk({ name: "r", models: [pattern] }, model),
        expected,
        `${pattern} ${model}`,
      );
    }
  }
  assert.ok(mayAsk({ name: "r" }, "anything:at-all"));
});

Deno.test("roles: what is none is not taken for one", () => {
  assert.deepEqual(parseRole({ atOnce: 2, name: "a", models: ["x*"] }), {
    name: "a",
    models: ["x*"],
    atOnce: 2,
  });
  for (
    const value of [
      null,
      [],
      {},
      { name: "" },
      { name: "a b" },
      { name: "a", models: [] },
      { name: "a", models: ["a b"] },
      { name: "a", atOnce: 0 },
      { name: "a", atOnce: 1.5 },
      { name: "a", tokensPerDay: "7" },
      { name: "a", other: 1 },
    ]
  ) assert.equal(parseRole(value), undefined, JSON.stringify(value));
});
