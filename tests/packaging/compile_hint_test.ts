import assert from "node:assert/strict";
import { unreachable } from "../../scripts/compile.ts";

Deno.test("compile: without Deno's host it says in one line what to do, and nothing else is taken for that", () => {
  const url = "https://dl.deno.land/release/v2.9.4/denort-x86_64-unknown-linux-gnu.zip";
  const failed = `error: Writing deno compile executable to temporary file '/x'

Caused by:
    0: Setting up base binary.
    1: error sending request for url (${url}): client error (Connect): dns error
`;
  const said = unreachable(failed)!;
  assert.match(said, /^error: .*DENORT_BIN=/);
  assert.ok(!said.includes("\n") && said.includes("denort-x86_64-unknown-linux-gnu.zip"));
  assert.equal(unreachable("error: Module not found"), undefined);
});
