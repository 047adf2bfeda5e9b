/** A downgrade: files of the data folder that a newer version wrote. Each is named, with its version, and nothing is advised that loses it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { openServeAudit } from "../../src/app/audit.ts";
import { AuditNote } from "../../src/audit/mod.ts";
import { SinkPosition } from "../../src/audit/sink.ts";
import { SealedHistory } from "../../src/cli/chat/sealed_history.ts";
import { loadConfig } from "../../src/config/config.ts";
import { UsageFile } from "../../src/firm/usage_file.ts";
import { PulledFile } from "../../src/fleet/pulled_file.ts";
import { Tokens } from "../../src/firm/tokens.ts";
import { FleetState } from "../../src/fleet/state.ts";
import { parseClientList } from "../../src/keys/clients/client_list.ts";
import { PairingStore } from "../../src/keys/clients/pairings.ts";
import { readHostId } from "../../src/keys/host_id.ts";
import { parseManifest } from "../../src/keys/keyset/manifest.ts";
import { ManifestFile, openKeySource, PairingOffers } from "../../src/keys/mod.ts";
import { FileStore } from "../../src/keys/stores/file.ts";
import { MemoryStore } from "../../src/keys/stores/testing_memory.ts";
import { silentLogger } from "../../src/log.ts";
import { GatewayAuthority } from "../../src/tls/authority.ts";

Deno.test("a file of a newer version is called so, whatever else is in it, and is not to be removed", async () => {
  const folder = await Deno.makeTempDir();
  const store = new MemoryStore();
  using keys = await openKeySource({
    ...{ dataDir: folder, env: {}, interactive: false, autoInit: true, store },
  });
  const file = new ManifestFile(folder);
  const bytes = (name: string) => Deno.readFile(join(folder, name));
  const passphrase = () => Promise.resolve(new Uint8Array(20).fill(0x61));
  const readers: Record<string, () => Promise<unknown>> = {
    "tokens.json": () => new Tokens(folder).list(),
    "host.json": () => readHostId(folder),
    "clients.json": async () => parseClientList(await bytes("clients.json")),
    "keyset.json": async () => parseManifest(await bytes("keyset.json")),
    "pairings.json": () => new PairingStore(folder, store).read("lab"),
    "tls.json": () => new GatewayAuthority(file, keys.storage()).issue(["gateway.lan"]),
    "fleet.json": () => new FleetState(file, keys.storage()).read(),
    "fleet-heads.json": () => new FleetState(file, keys.storage()).readHeads(),
    "fleet-pulls.json": () => Promise.resolve().then(() => PulledFile.read(folder)),
    "audit-syslog.json": () => new SinkPosition(folder, "audit-syslog.json", 1).read(),
    "pairing-offers.json": () => new PairingOffers(file, keys).anyOpen(),
    "keys.json": () => new FileStore({ path: join(folder, "keys.json"), passphrase }).get("x"),
  };
  try {
    for (const [name, read] of Object.entries(readers)) {
      for (const more of [{}, { new_field: [1] }, { tokens: 5, gateways: null, role: "host" }]) {
        const path = join(folder, name);
        const text = JSON.stringify({ v: 9, type: "secllama-keys", ...more });
        await Deno.writeTextFile(path, text, { mode: 0o600 });
        const error = await read().then(() => assert.fail(`${name} was read`), (error) => error);
        assert.match(error.message, new RegExp(`${name} is (of )?version 9`), name);
        assert.match(error.hint, /a newer secllama wrote it: use that one/, name);
        assert.doesNotMatch(error.hint, /remove|reset|anew|move it/, name);
        assert.equal(await Deno.readTextFile(path), text);
      }
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("serve goes on beside what a newer version noted, says what is not noted, and leaves it as it is", async () => {
  const folder = await Deno.makeTempDir();
  const [dataDir, stateDir] = [join(folder, "data"), join(folder, "state")];
  class KeyFile extends MemoryStore {
    override readonly backend = "file";
  }
  const store = new KeyFile();
  const open = () =>
    openKeySource({ ...{ dataDir, stateDir, env: {}, interactive: false, autoInit: true, store } });
  const config = loadConfig({
    env: {
      SECLLAMA_AUDIT: "on",
      SECLLAMA_AUDIT_SYSLOG: "tcp://127.0.0.1:9",
      SECLLAMA_AUDIT_OTLP: "http://127.0.0.1:9",
    },
  });
  const serve = async () => {
    using keys = await open();
    const warnings = [...keys.warnings];
    const audit = await openServeAudit({
      ...{ config, dataDir, stateDir, keys, logger: silentLogger },
      onWarning: (line) => warnings.push(line),
    });
    await audit!.note("serve-started");
    await audit!.close();
    return { warnings, note: new AuditNote(stateDir, keys.hid) };
  };
  try {
    const { note, warnings } = await serve();
    assert.deepEqual(warnings, []);
    assert.ok(note.read()!.size > 0);
    const texts = new Map<string, string>();
    const names = ["audit-syslog.json", "audit-otlp.json", "key-usage.json"];
    for (const path of [note.path, ...names.map((name) => join(dataDir, name))]) {
      texts.set(path, JSON.stringify({ v: 2, next: 0, log: "0".repeat(32) }));
      await Deno.writeTextFile(path, texts.get(path)!);
    }
    const said = (await serve()).warnings.join("\n");
    for (const [path, text] of texts) {
      assert.ok(said.includes(`${path} is version 2, this secllama reads 1`), `${path}\n${said}`);
      assert.equal(await Deno.readTextFile(path), text);
    }
    assert.match(said, /-audit\.json is .*: an audit log that is put back will not be noticed/);
    assert.match(said, /nothing is sent to syslog: /);
    assert.match(said, /nothing is sent to otlp: /);
    assert.match(said, /key-usage\.json is .*: the use of keys is not counted/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("files that are not JSON: the lines typed in run, and the use of limits", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const history = join(folder, "run-history");
    const store = new SealedHistory(history, () => Promise.reject(new Error("no key is needed")));
    await Deno.writeTextFile(history, "SLH2 whatever");
    await assert.rejects(store.read(), /run-history is version 2, this secllama reads 1/);

    const path = join(folder, "usage.db");
    UsageFile.open(folder)[Symbol.dispose]();
    using _again = UsageFile.open(folder);
    const db = new DatabaseSync(path);
    db.exec("PRAGMA user_version=2; ALTER TABLE usage ADD COLUMN more TEXT");
    db.close();
    for (const look of [() => UsageFile.open(folder), () => UsageFile.read(folder)]) {
      assert.throws(look, {
        code: "limits-failed",
        message: `${path} is version 2, this secllama reads 1`,
        hint: "a newer secllama wrote it: use that one; nothing was changed",
      });
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
