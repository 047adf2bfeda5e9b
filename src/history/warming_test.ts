/** A history's opening in breaths, while its files are away and once they are back. */
import assert from "node:assert/strict";
import { Warming } from "./warming.ts";

Deno.test("warming: what could not go on while the files were away begins anew once they are back", async () => {
  const opened: number[] = [];
  let away = false;
  let breath = Promise.withResolvers<void>();
  const next = () => (breath = Promise.withResolvers<void>()).promise;
  const warming = new Warming({
    inPlace() {
      breath.resolve();
      if (away) throw new Error("away");
    },
    warm(at) {
      opened.push(at);
      away = at === 1 && opened.length === 2;
      return at < 3 ? at + 1 : undefined;
    },
  });
  warming.start();
  while (!away) await next();
  await next();
  assert.deepEqual(opened, [0, 1]);
  // Nothing goes on by itself.
  away = false;
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(opened, [0, 1]);
  warming.inPlace();
  while (opened.length < 6) await next();
  assert.deepEqual(opened, [0, 1, 0, 1, 2, 3]);
  warming.inPlace();
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(opened.length, 6, "once all is open it rests");
});
