/** Structured output by zod's schemas: what the demo model is made to say is what the schema allows. */
import assert from "node:assert/strict";
import { Ollama } from "ollama";
import { z } from "zod";
import { startServe } from "../support/serve.ts";

const text = z.string().max(8);
interface Tree {
  v: number;
  c: Tree[];
}
const tree: z.ZodType<Tree> = z.lazy(() =>
  z.object({ v: z.number().int().min(0).max(9), c: z.array(tree).max(2) })
);

const SCHEMAS: Readonly<Record<string, z.ZodType>> = {
  "objects in objects": z.object({ a: z.object({ b: z.object({ c: z.boolean() }) }) }),
  "optional": z.object({ a: text.optional(), b: z.number().int().max(5).min(1).optional() }),
  "nullable": z.object({ a: text.nullable(), b: z.null() }),
  "union": z.object({ a: z.union([z.boolean(), z.number().int().min(0).max(3), text]) }),
  "tagged union": z.discriminatedUnion("t", [
    z.object({ t: z.literal("a"), x: z.boolean() }),
    z.object({ t: z.literal("b"), y: z.boolean() }),
  ]),
  "record of an enum": z.record(z.enum(["a", "b"]), z.boolean()),
  "tuple": z.object({ t: z.tuple([z.boolean(), z.literal(4), z.enum(["x"])]) }),
  "enums and literals": z.object({ e: z.enum(["low", "high"]), n: z.literal([1, 2, 3]) }),
  "dates and times": z.object({ d: z.iso.date(), t: z.iso.time(), b: z.iso.datetime() }),
  "uuid": z.object({ u: z.uuid() }),
  "pattern": z.object({ r: z.string().regex(/^[A-Z]{2}-\d{3}(?:x|y)?$/) }),
  "integers": z.object({ a: z.int().min(-5).max(17), b: z.int().positive().max(1000) }),
  "fractions": z.object({ a: z.number().min(0).max(1), b: z.number().min(-3).max(40) }),
  "arrays": z.object({
    a: z.array(z.boolean()).min(2).max(4),
    b: z.array(z.object({ x: z.boolean() })).length(2),
  }),
  "recursion": z.object({ t: tree }),
  "defaults": z.object({ a: z.boolean().default(true), b: text.default("x") }),
  "intersection": z.intersection(z.object({ a: z.boolean() }), z.object({ b: z.boolean() })),
  "lengths": z.object({ a: z.string().min(3).max(6) }),
  "names in any script": z.object({ 'naïve "key"': z.boolean(), "日本": z.boolean() }),
  "a large enum": z.enum(Array.from({ length: 300 }, (_, index) => `option-${index}`)),
  "an array at the top": z.array(z.boolean()).max(3),
};

Deno.test("structured output: zod's schemas over the whole path", async (t) => {
  const served = await startServe();
  const ollama = new Ollama({ host: served.proxyUrl });
  try {
    for (const [name, schema] of Object.entries(SCHEMAS)) {
      await t.step(name, async () => {
        const format = z.toJSONSchema(schema, { io: "input" });
        for (const seed of [1]) {
          const reply = await ollama.chat({
            model: "demo",
            messages: [{ role: "user", content: "Fill in." }],
            format,
            options: { seed, temperature: 1, num_predict: 400 },
          });
          assert.equal(reply.done_reason, "stop", reply.message.content);
          schema.parse(JSON.parse(reply.message.content));
        }
      });
    }
  } finally {
    await served.stop();
  }
});
