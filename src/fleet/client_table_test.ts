/** A host's table of clients, and records whose clients are not what they should be. */
import assert from "node:assert/strict";
import { SecLlamaError } from "../errors.ts";
import { ClientTable } from "./client_table.ts";

// deno-lint-ignore no-explicit-any
type Json = any;

const psk = (n: number) => new Uint8Array(32).fill(n);
const clientOf = (id: string, ...keys: string[]) => ({
  ...{ id, name: `name of ${id}`, may: ["stop"], role: "staff" },
  expires: "2030-01-01T00:00:00.000Z",
  keys: keys.map((pskId, i) => ({
    pskId,
    ...(i === 0 ? {} : { newer: { pskId: keys[0], renewal: "AA" } }),
  })),
});

/** Every place of a value, as a path. */
function* places(value: Json, path: string[] = []): Generator<string[]> {
  yield path;
  if (value === null || typeof value !== "object") return;
  for (const name of Object.keys(value)) yield* places(value[name], [...path, name]);
}

function changed(value: Json, path: readonly string[], to: Json): Json {
  if (path.length === 0) return to;
  const copy = structuredClone(value);
  const last = path.at(-1)!;
  const at = path.slice(0, -1).reduce((one, name) => one[name], copy);
  if (to === undefined) delete at[last];
  else at[last] = to;
  return copy;
}

function stateOf(table: ClientTable): string {
  return JSON.stringify(
    ["a", "b", "c"].map((id) => [id, table.client(id)]).concat(
      ["a1", "a2", "b1", "c1"].map((id) => [id, table.key(id) as Json]),
    ),
  );
}

Deno.test("fleet: a record whose clients are of another kind changes nothing", () => {
  const good = { clients: [clientOf("a", "a1", "a2"), clientOf("b", "b1")], gone: ["c"] };
  const start = () => {
    const table = new ClientTable();
    table.apply({ json: { clients: [clientOf("c", "c1")] }, secrets: [psk(9)] });
    return table;
  };
  {
    using table = start();
    table.apply({ json: good, secrets: [psk(1), psk(2), psk(3)] });
    assert.deepEqual([table.size, table.key("b1")!.psk, table.key("c1")], [2, psk(3), undefined]);
  }
  let [refused, taken] = [0, 0];
  for (const path of places(good)) {
    for (const to of [undefined, null, 5, "x", "", true, [], {}, [null], [5], { keys: 1 }]) {
      using table = start();
      const before = stateOf(table);
      try {
        table.apply({ json: changed(good, path, to), secrets: [psk(1), psk(2), psk(3)] });
        taken++;
        for (const id of ["a", "b"]) {
          const client: Json = table.client(id);
          assert.ok(client?.may.every((one: unknown) => one === "stop") ?? true, "a new right");
          assert.ok(
            !Number.isNaN(Date.parse(client?.expires ?? "2030")),
            "an end that never comes",
          );
        }
      } catch (error) {
        assert.ok(
          error instanceof SecLlamaError,
          `${path.join(".")} = ${JSON.stringify(to)}: ${error}`,
        );
        assert.equal(error.code, "key-refused");
        assert.equal(stateOf(table), before, `${path.join(".")} = ${JSON.stringify(to)}`);
        refused++;
      }
    }
  }
  assert.ok(refused > 100 && taken > 20, `${refused} refused, ${taken} taken`);
});

Deno.test("fleet: a key is of one client, each has its own secret, and a secret has 32 bytes", () => {
  using table = new ClientTable();
  table.apply({ json: { clients: [clientOf("a", "a1")] }, secrets: [psk(1)] });
  const before = stateOf(table);
  const bad: readonly { json: Json; secrets: Uint8Array<ArrayBuffer>[] }[] = [
    { json: { clients: [clientOf("b", "a1")] }, secrets: [psk(2)] },
    { json: { clients: [clientOf("b", "b1", "b1")] }, secrets: [psk(2), psk(3)] },
    { json: { clients: [clientOf("b", "b1"), clientOf("c", "b1")] }, secrets: [psk(2), psk(3)] },
    { json: { clients: [clientOf("b", "b1")] }, secrets: [] },
    { json: { clients: [clientOf("b", "b1")] }, secrets: [psk(2), psk(3)] },
    { json: { clients: [clientOf("b", "b1")] }, secrets: [new Uint8Array(31)] },
  ];
  for (const record of bad) {
    assert.throws(() => table.apply(record), { code: "key-refused" });
    assert.equal(stateOf(table), before);
  }
  // One that goes may leave its key to another in the same record.
  table.apply({ json: { clients: [clientOf("b", "a1")], gone: ["a"] }, secrets: [psk(4)] });
  assert.deepEqual([table.key("a1")!.client.id, table.key("a1")!.psk], ["b", psk(4)]);
});
