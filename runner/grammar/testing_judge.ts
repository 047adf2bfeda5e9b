/** For tests: Python's jsonschema. */
import assert from "node:assert/strict";

const PYTHON = "/usr/bin/python3";
const SCRIPT = new URL("schema_check.py", import.meta.url).pathname;

/** Python's word on each text; `undefined` for a schema that is none. */
export async function judge(cases: readonly { schema: unknown; texts: readonly string[] }[]) {
  const child = new Deno.Command(PYTHON, {
    args: ["-I", SCRIPT],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const lines = cases.map(({ schema, texts }) =>
    JSON.stringify({ schema: JSON.stringify(schema), texts }) + "\n"
  );
  const fed = new Blob(lines).stream().pipeTo(child.stdin);
  const { stdout, stderr, success } = await child.output();
  await fed;
  assert.ok(success, new TextDecoder().decode(stderr).slice(-2000));
  const out = new TextDecoder().decode(stdout).trim().split("\n").map((line) => JSON.parse(line));
  assert.equal(out.length, cases.length);
  return out.map((answer) => Array.isArray(answer) ? answer as (boolean | string)[] : undefined);
}
