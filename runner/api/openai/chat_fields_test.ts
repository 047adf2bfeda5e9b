import assert from "node:assert/strict";
import { Fields } from "../fields.ts";
import { templateValuesField } from "./chat_fields.ts";

Deno.test("chat_template_kwargs: of what is far too much no more is looked at than shows it", () => {
  let asked = 0;
  const list = new Proxy(Array<number>(1000).fill(1), {
    get: (of, key) => (asked++, Reflect.get(of, key)),
  });
  const read = (units: number) =>
    templateValuesField(Fields.of({ chat_template_kwargs: { list, text: "x".repeat(units) } }));
  assert.throws(() => read(1_000_000), { code: "bad-request", field: "chat_template_kwargs" });
  assert.equal(asked, 0);
  assert.throws(() => read(15_000), { code: "bad-request", field: "chat_template_kwargs" });
  assert.ok(asked > 0);
  assert.deepEqual(Object.keys(read(10_000)!), ["list", "text"]);
});
