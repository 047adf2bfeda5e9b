import assert from "node:assert/strict";
import plugin from "../scripts/lint/house.ts";
import { secret, SecretMap, wipe } from "./secret.ts";

const bytes = () => Uint8Array.of(1, 2, 3);
const isZero = (value: Uint8Array) => value.every((byte) => byte === 0);

Deno.test("secret: the bytes themselves are zero when their block is left, also by a throw or a return", () => {
  const seen: Uint8Array[] = [];
  const leave: { readonly [how: string]: () => unknown } = {
    end: () => {
      using key = secret(bytes());
      seen.push(key);
    },
    return: () => {
      using key = secret(bytes());
      seen.push(key);
      return key.length;
    },
    throw: () => {
      using key = secret(bytes());
      seen.push(key);
      throw new Error("on purpose");
    },
    undefined: () => {
      using key = secret(undefined as Uint8Array | undefined);
      return key;
    },
  };
  for (const [how, run] of Object.entries(leave)) {
    try {
      run();
    } catch (error) {
      assert.equal(how, "throw", String(error));
    }
  }
  assert.equal(seen.length, 3);
  assert.ok(seen.every(isZero));
});

Deno.test("secret: no copy, equal to plain bytes, marked twice without harm", () => {
  const plain = bytes();
  assert.equal(secret(secret(plain)), plain);
  assert.deepEqual(secret(bytes()), bytes());
  assert.deepEqual(secret(bytes()).slice(1), Uint8Array.of(2, 3));
});

Deno.test("secret: a map of them, and by hand", () => {
  const [a, b, c] = [bytes(), bytes(), bytes()];
  {
    using items = new SecretMap([["a", a]]);
    items.set("b", b);
  }
  wipe(undefined, c);
  assert.ok([a, b, c].every(isZero));
});

Deno.test("lint: a secret overwritten by hand is refused in the product, and only there", () => {
  const found = (path: string, source: string) =>
    Deno.lint.runPlugin(plugin, path, source).map(({ id }) => id);
  const bare = ["key.fill(0)", "a?.key.fill(0)", "(await f()).fill(0x0)", 'key["fill"](0, 3)'];
  for (const source of bare) {
    for (const path of ["src/keys/x.ts", "runner/x.ts"]) {
      assert.deepEqual(found(`/a/${path}`, source), ["house/no-bare-wipe"], source);
    }
    for (const path of ["src/secret.ts", "src/x_test.ts", "src/testing_x.ts", "tests/x.ts"]) {
      assert.deepEqual(found(`/a/${path}`, source), [], `${path}: ${source}`);
    }
  }
  for (const source of ["Array(3).fill(0)", "new Array(3).fill(0)", "key.fill(1)", "fill(0)"]) {
    assert.deepEqual(found("/a/src/x.ts", source), [], source);
  }
});
