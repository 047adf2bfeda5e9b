import assert from "node:assert/strict";
import { seeded } from "../../tests/support/seeds.ts";
import type { Entry, Head } from "./entries.ts";
import { listOf } from "./summaries.ts";

Deno.test("list: of any number, page after page, it is what sorting all of them gives", () => {
  const random = seeded(7);
  const below = (most: number) => Math.floor(random() * most);
  for (const count of [0, 1, 7, 60, 900]) {
    const entries = Array.from({ length: count }, (_, at): Entry => {
      const head: Head = {
        ...{ title: `t${at}`, model: "m", created: 0, folder: "", messages: 1, size: 1, texts: 1 },
        updated: below(40),
        pinned: below(9) === 0,
        deleted: below(20) === 0 ? 1 : null,
      };
      const opened = below(30) === 0 ? undefined : { key: new Uint8Array(), head };
      return { id: at.toString(16).padStart(32, "0"), bytes: new Uint8Array(), opened };
    }).sort(() => random() - 0.5);
    const { conversations: sorted } = listOf(entries, { limit: 20_000 });
    assert.equal(sorted.length, entries.filter((one) => one.opened?.head.deleted !== 1).length);
    for (const limit of [1, 3, 50]) {
      const found: string[] = [];
      for (;;) {
        const { conversations, total } = listOf(entries, { limit, before: found.at(-1) });
        assert.equal(total, sorted.length);
        if (conversations.length === 0) break;
        found.push(...conversations.map(({ id }) => id));
      }
      assert.deepEqual(found, sorted.map(({ id }) => id));
    }
    const order = (one: typeof sorted[number]) =>
      `${one.pinned ? 0 : 1}${String(100 - one.updated).padStart(4, "0")}${one.id}`;
    assert.deepEqual(sorted.map(order), sorted.map(order).toSorted());
  }
});
