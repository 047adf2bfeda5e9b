import assert from "node:assert/strict";
import { SEED, seeded } from "../../tests/support/seeds.ts";
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

Deno.test(`browser: a stranger's address is one quoted word to the shells that open it, and of the web (seed: ${SEED})`, () => {
  const random = seeded(SEED);
  const pieces = [
    "'",
    '"',
    "\\",
    "`",
    "$(",
    ")",
    ";",
    "\n",
    "\0",
    " ",
    "’",
    "a",
    "%27",
    "/",
    "?",
    "#",
    "&",
  ];
  const starts = ["https://idp.example/", "http://127.0.0.1:1/", "https://idp.example/a?b="];
  const exists = () => true;
  for (let n = 0; n < 2_000; n++) {
    const length = 1 + Math.floor(random() * 12);
    const tail = Array.from({ length }, () => pieces[Math.floor(random() * pieces.length)]);
    const address = starts[n % starts.length]! + tail.join("");
    const windows = openerOf(address, { os: "windows", env: {}, exists })!;
    // PowerShell takes typographic quotes for quotes too.
    assert.match(windows.stdin, /^Start-Process '[^'\u2018-\u201b\n]+'\n$/, address);
    const mac = openerOf(address, { os: "darwin", env: {}, exists })!;
    assert.match(mac.stdin, /^open location "[^"\\\n]+"\n$/, address);
    // It is the same address still, as a server reads it.
    const opened = /'(.*)'/.exec(windows.stdin)![1]!;
    const read = (url: string) =>
      decodeURIComponent(new URL(url).href.replaceAll(/%(?!27|22|5C)/g, "%25"));
    assert.equal(read(opened), read(address), address);
  }
  for (const address of ["javascript:alert(1)", "file:///etc/passwd", "x-app://a", "ms-msdt:/id"]) {
    for (const os of ["linux", "darwin", "windows"]) {
      assert.equal(openerOf(address, { os, env: { DISPLAY: ":0" }, exists }), undefined, address);
    }
  }
});
