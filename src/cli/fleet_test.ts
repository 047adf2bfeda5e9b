import assert from "node:assert/strict";
import { SecLlamaError } from "../errors.ts";
import { publishOnChange } from "./fleet_publish.ts";

Deno.test("fleet publish --watch: what changes while the files are written is written the next time", async () => {
  let revoked = false;
  const written: boolean[] = [];
  let turns = 0;
  await publishOnChange({
    look: () => Promise.resolve(String(revoked)),
    write() {
      written.push(revoked);
      revoked = true; // right after this one read the clients
      return Promise.resolve(undefined);
    },
    everyMs: 3_600_000,
    goOn: () => Promise.resolve(++turns <= 4),
  });
  assert.deepEqual(written, [false, true]);
});

Deno.test("fleet publish --watch: what was taken up already is not written once more", async () => {
  let [keys, turns] = [0, 0];
  const written: number[] = [];
  await publishOnChange({
    look: () => Promise.resolve(`${keys}`),
    write() {
      // A rotation that was at it when it was looked, and is over when the keys are read.
      if (written.length === 1) keys++;
      written.push(keys);
      return Promise.resolve(`${keys}`);
    },
    everyMs: 3_600_000,
    goOn() {
      if (turns === 1) keys++;
      return Promise.resolve(++turns <= 5);
    },
  });
  assert.deepEqual(written, [0, 2]);
});

Deno.test("fleet publish --watch: a store that is away is told of once, and again after it was there", async () => {
  const answers = [true, false, false, true, false, true];
  const told: string[] = [];
  const left = answers.values();
  let turns = 0;
  await publishOnChange({
    look: () => Promise.resolve(String(turns)),
    write() {
      if (left.next().value === false) throw new SecLlamaError("fleet-unreachable", `${turns}`);
      return Promise.resolve(undefined);
    },
    everyMs: 3_600_000,
    goOn: () => Promise.resolve(++turns < answers.length),
    onFailed: ({ message }) => told.push(message),
  });
  assert.deepEqual(told, ["1", "4"]);
});
