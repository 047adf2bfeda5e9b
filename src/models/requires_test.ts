import assert from "node:assert/strict";
import { isNewerThanOurs, parseRequires } from "./requires.ts";

Deno.test("requires: versions as Ollama reads them", () => {
  const rows: [text: string, version: string | undefined][] = [
    ["0.14.0", "0.14.0"],
    ["v0.14.0", "0.14.0"],
    ["1", "1"],
    ["1.2", "1.2"],
    ["0.14.0-rc1", "0.14.0-rc1"],
    ["0.14.0+build", "0.14.0"],
    ["", undefined],
    ["v", undefined],
    ["1.2.3.4", undefined],
    ["01.2.3", undefined],
    ["latest", undefined],
    ["1.2.x", undefined],
    ["1." + "2".repeat(100), undefined],
  ];
  for (const [text, version] of rows) assert.equal(parseRequires(text), version, text);
});

Deno.test("requires: what is newer", () => {
  const rows: [version: string, ours: string, isNewer: boolean][] = [
    ["0.14.0", "0.14.0", false],
    ["0.14.1", "0.14.0", true],
    ["0.9.9", "0.14.0", false],
    ["1", "0.99.99", true],
    ["0.14", "0.14.0", false],
    ["0.14.0-rc1", "0.14.0", false],
  ];
  for (const [version, ours, isNewer] of rows) {
    assert.equal(isNewerThanOurs(version, ours), isNewer, `${version} ${ours}`);
  }
});
