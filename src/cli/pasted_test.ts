import assert from "node:assert/strict";
import { SecLlamaError } from "../errors.ts";
import { refusePasted } from "./pasted.ts";

function hintOf(...argv: string[]): string | undefined {
  try {
    refusePasted(argv);
  } catch (error) {
    assert.ok(error instanceof SecLlamaError && error.code === "usage");
    return error.hint;
  }
  return undefined;
}

Deno.test("pasted: whatever a text program makes of a command line, the hint has the line as it was", () => {
  const line = ["serve", "--port", "8080", "--key-file", "my.key"];
  for (const dash of ["\u2010", "\u2013", "\u2014", "\u2212"]) {
    const pasted = line.map((word) => word.replace(/^--/, dash));
    assert.equal(hintOf(...pasted), `did you mean: secllama ${line.join(" ")}`);
  }
  for (const [left, right] of ["\u201c\u201d", "\u201e\u201c", "\u2018\u2019", "\u00ab\u00bb"]) {
    const pasted = line.with(4, `${left}my.key${right}`);
    assert.equal(hintOf(...pasted), `did you mean: secllama ${line.join(" ")}`);
  }
  for (const space of ["\u00a0", "\u2009", "\u200b", "\u3000", "\ufeff"]) {
    assert.equal(hintOf(line.join(space)), `did you mean: secllama ${line.join(" ")}`);
    assert.equal(
      hintOf("serve", line.slice(1).join(space)),
      `did you mean: secllama ${line.join(" ")}`,
    );
  }
  for (const sign of [["$"], ["#"], ["secllama"], ["$", "secllama"], ["❯", "secllama"]]) {
    assert.equal(hintOf(...sign, ...line), `did you mean: secllama ${line.join(" ")}`);
  }
});

Deno.test("pasted: a prompt may hold anything, and is never repeated; a secret neither", () => {
  const key = `sl1:${"A".repeat(44)}`;
  const token = `slt_0123456789ab_${"A".repeat(43)}`;
  for (
    const prompt of [
      "“Where”",
      "—really?",
      "a\u00a0b",
      "$ ls",
      "sl1: what is that?",
      `is ${key} one?`,
      `what is ${token} for?`,
    ]
  ) {
    assert.equal(hintOf("run", "demo", prompt), undefined);
  }
  assert.equal(hintOf("ollama", "run", "demo", "my secret"), "did you mean: secllama run demo");
  assert.equal(hintOf("run —verbose demo secret"), "did you mean: secllama run —verbose");
  const secrets = [
    ["key", "import", key],
    ["proxy", `--pair=secllama-pair-1.${key}`],
    [key],
    ["key", "import", `\u201c${key}\u201d`],
    ["key", "import", `${key}\u00a0`],
    ["key", `import\u00a0${key}`],
    [`key import ${key}`],
    ["secllama", "key", "import", `'${key}'`],
    ["proxy", "\u2014pair", `secllama-pair-1.${key},`],
    ["proxy", "--pair", `SECLLAMA-PAIR-12.${key}`],
    ["token", "revoke", token],
    ["status", `--token=${token}`],
    [token],
    ["run", "demo", token],
    ["token", "revoke", `\u201c${token}\u201d`],
    [`token revoke ${token}`],
  ];
  for (const argv of secrets) {
    assert.throws(
      () => refusePasted(argv),
      (error: SecLlamaError) =>
        error.code === "usage" && !`${error.message}${error.hint}`.includes("AAAA"),
    );
  }
  for (const fine of [[], ["serve"], ["run"], ["history", "search", "a b"], ["--help"], ["-v"]]) {
    assert.equal(hintOf(...fine), undefined);
  }
});
