/** An auditor with the key and the file alone, in another language: what our own check says, Python's cryptography says too. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { AuditDatabase, AuditSigner, exportLines, proveLine } from "../../src/audit/mod.ts";
import { withLog } from "../../src/audit/testing.ts";
import { toPem } from "../../src/pem.ts";

const AUDITOR = new URL("auditor.py", import.meta.url).pathname;

async function audit(...args: string[]): Promise<[code: number, said: string]> {
  const { code, stdout, stderr } = await new Deno.Command("/usr/bin/python3", {
    args: [AUDITOR, ...args],
    stdout: "piped",
    stderr: "piped",
  }).output();
  return [code, new TextDecoder().decode(code === 0 ? stdout : stderr).trim()];
}

Deno.test("audit: Python's cryptography finds an export whole, and an edited one not", () =>
  withLog(async (rig) => {
    await rig.fill(50);
    using signer = await AuditSigner.of(rig.manager);
    using db = AuditDatabase.read(rig.folder)!;
    const [key, file, proof] = ["key.pem", "export.jsonl", "proof.json"].map((name) =>
      join(rig.folder, name)
    ) as [string, string, string];
    await Deno.writeTextFile(key, toPem("PUBLIC KEY", signer.signing.publicKey.spki()));
    const rows = [...exportLines(db)];
    await Deno.writeTextFile(file, rows.join("\n") + "\n");
    const heads = rows.filter((row) => row.startsWith('{"head"')).length;
    assert.deepEqual(await audit(key, file), [0, `whole 51 ${heads}`]);
    for (const n of [0, 17, 50]) {
      await Deno.writeTextFile(proof, JSON.stringify(proveLine(db, n)));
      assert.deepEqual(await audit(key, proof), [0, `proven ${n}`]);
    }
    await Deno.writeTextFile(proof, JSON.stringify({ ...proveLine(db, 17), index: 18 }));
    assert.equal((await audit(key, proof))[0], 1);
    await Deno.writeTextFile(file, rows.slice(0, -4).join("\n") + "\n");
    assert.match((await audit(key, file))[1], /not whole: AssertionError/);
    const edited = rows.map((row) => row.replace("client-3", "client-4"));
    await Deno.writeTextFile(file, edited.join("\n") + "\n");
    const [code, said] = await audit(key, file);
    assert.equal(code, 1);
    assert.match(said, /not what was signed/);
    await withLog(async (other) => {
      using stranger = await AuditSigner.of(other.manager);
      await Deno.writeTextFile(key, toPem("PUBLIC KEY", stranger.signing.publicKey.spki()));
      await Deno.writeTextFile(file, rows.join("\n") + "\n");
      assert.match((await audit(key, file))[1], /InvalidSignature/);
    });
  }));
