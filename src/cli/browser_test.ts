import assert from "node:assert/strict";
import { openerOf } from "./browser.ts";

const URL_ = "http://127.0.0.1:11434/#launch=secret";

Deno.test("browser: no secret is in a program's arguments where there is one, and no desktop opens nothing", () => {
  const exists = (path: string) => path === "/usr/bin/xdg-open";
  const env = { DISPLAY: ":0" };
  assert.deepEqual(openerOf("http://127.0.0.1:1/", { os: "linux", env, exists }), {
    program: "/usr/bin/xdg-open",
    args: ["http://127.0.0.1:1/"],
    stdin: "",
  });
  const plain = "http://127.0.0.1:1/";
  assert.equal(openerOf(plain, { os: "linux", env: {}, exists }), undefined, "no display");
  assert.equal(openerOf(plain, { os: "linux", env, exists: () => false }), undefined);
  assert.equal(
    openerOf(URL_, { os: "linux", env, exists }),
    undefined,
    "an argument, for all to read",
  );
  for (const os of ["darwin", "windows"]) {
    const opener = openerOf(URL_, { os, env: {}, exists })!;
    assert.ok(!opener.args.join(" ").includes("secret"), os);
    assert.ok(opener.stdin.includes(URL_), os);
  }
  assert.equal(openerOf(URL_, { os: "freebsd", env, exists }), undefined);
});
