/** The file of counts, damaged while it is open: a count is right or refused, and what was put right is used again. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { SEED, seeded } from "../../tests/support/seeds.ts";
import { SecLlamaError } from "../errors.ts";
import { Limiter, type Usage } from "./limiter.ts";
import { UsageFile } from "./usage_file.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
const CLIENTS = Array.from({ length: 300 }, (_, i) => `app ${String(i).padStart(12, "0")}`);
const usageOf = (i: number): Usage => ({
  minute: { at: 29_000_000 + i, requests: i, tokens: 10 * i },
  day: { at: 20_000 + i, requests: i + 1, tokens: Number.MAX_SAFE_INTEGER - i },
});
const COLUMNS = "minute, minute_requests, minute_tokens, day, day_requests, day_tokens";

/** What is said of a client; undefined: it is refused. */
function said(file: UsageFile, client: string): Usage | "nothing" | undefined {
  try {
    return file.load(client) ?? "nothing";
  } catch (error) {
    refused(error);
  }
}

function refused(error: unknown): void {
  assert.ok(error instanceof SecLlamaError, String(error));
  assert.equal(error.code, "limits-failed");
}

/** Another file in place of this one. */
async function replaced(path: string, sql: string): Promise<void> {
  const other = new DatabaseSync(`${path}.other`);
  other.exec(`PRAGMA synchronous=OFF; BEGIN; ${sql}; COMMIT`);
  other.close();
  await Deno.rename(`${path}.other`, path);
}

const table = (values: string) =>
  `CREATE TABLE usage (client TEXT PRIMARY KEY, ${COLUMNS});` +
  CLIENTS.map((client) => `INSERT INTO usage VALUES ('${client}', ${values});`).join("");

Deno.test(`usage: a file that is damaged while it is open refuses or is right, and heals (seed: ${SEED})`, async () => {
  const folder = await Deno.makeTempDir();
  const path = join(folder, "usage.db");
  const random = seeded(SEED);
  const whole = (n: number) => Math.floor(random() * n);
  {
    using file = UsageFile.open(folder);
    CLIENTS.forEach((client, i) => file.save(client, usageOf(i)));
  }
  const good = await Deno.readFile(path);
  /** In place, as a disk or a careless hand would. */
  const inPlace: ((bytes: Uint8Array) => Uint8Array)[] = [
    (bytes) => bytes.subarray(0, whole(bytes.length)),
    (bytes) => bytes.fill(0, 4096 * whole(bytes.length / 4096)).subarray(),
    (bytes) => bytes.fill(0xff, 0, 4096),
    (bytes) => (bytes.fill(whole(256), 4096, 4096 + whole(bytes.length - 4096)), bytes),
  ];
  const nothingCounts = [
    "'x', 0, 0, 0, 0, 0",
    "0, x'00', 0, 0, 0, 0",
    "0, 0, 9007199254740993, 0, 0, 0",
    "0, 0, 0, 9223372036854775807, 0, 0",
    "0, 0, 0, 0, -1, 0",
    "0, 0, 0, 0, 0, 1.5",
    "0, 0, 0, 0, 0, NULL",
  ];
  const others: (() => Promise<void>)[] = [
    ...nothingCounts.map((values) => () => replaced(path, table(values))),
    () => replaced(path, "CREATE TABLE usage (client TEXT PRIMARY KEY)"),
    () => replaced(path, `CREATE VIEW usage AS SELECT 1 AS client`),
    () => replaced(path, "PRAGMA user_version=9"),
    () => Deno.remove(path).then(() => Deno.mkdir(path)),
    () => Deno.remove(path).then(() => Deno.symlink(path, path)),
  ];
  try {
    for (let n = 0; n < (FULL ? 400 : 40); n++) {
      const where = `case ${n}`;
      await Deno.writeFile(path, good);
      const failures: unknown[] = [];
      using file = UsageFile.open(folder, (error) => failures.push(error));
      assert.deepEqual(said(file, CLIENTS[0]!), usageOf(0), where);
      const isOther = n < others.length;
      if (isOther) await others[n]!();
      else {
        await Deno.writeFile(path, inPlace[n % inPlace.length]!(good.slice()));
        // Later than it was made by more than a file system's clock shows.
        await Deno.utime(path, 2_000_000_000, 2_000_000_000);
      }
      for (let k = 0; k < 10; k++) {
        const i = whole(CLIENTS.length);
        const usage = said(file, CLIENTS[i]!);
        if (isOther) assert.equal(usage, undefined, where);
        else if (usage !== undefined) assert.deepEqual(usage, usageOf(i), where);
      }
      if (isOther) assert.throws(() => file.check(), { code: "limits-failed" }, where);
      // Moved away, as the hint says, and then put back from a copy.
      await Deno.rename(path, join(folder, "aside"));
      assert.equal(said(file, CLIENTS[1]!), "nothing", where);
      file.check();
      await Deno.writeFile(`${path}.copy`, good);
      await Deno.rename(`${path}.copy`, path);
      CLIENTS.forEach((client, i) => assert.deepEqual(said(file, client), usageOf(i), where));
      file.check();
      file.save("app of now", usageOf(7));
      file[Symbol.dispose]();
      failures.forEach(refused);
      assert.deepEqual(UsageFile.read(folder).get("app of now"), usageOf(7), where);
      for (const name of ["aside", "usage.db", "usage.db-wal", "usage.db-shm"]) {
        await Deno.remove(join(folder, name), { recursive: true }).catch(() => {});
      }
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("usage: who only looks is told of a damaged file too, and a count never leaves the numbers that are exact", async () => {
  const folder = await Deno.makeTempDir();
  const path = join(folder, "usage.db");
  try {
    {
      using file = UsageFile.open(folder);
      const limiter = new Limiter(file);
      const ticket = limiter.admit("c", { name: "r", tokensPerDay: 10 });
      for (let i = 0; i < 3; i++) ticket.used(Number.MAX_SAFE_INTEGER);
    }
    assert.equal(UsageFile.read(folder).get("c")!.day.tokens, Number.MAX_SAFE_INTEGER);
    for (const values of ["'x', 0, 0, 0, 0, 0", "0, 0, 9223372036854775807, 0, 0, 0"]) {
      await replaced(path, table(values));
      assert.throws(() => UsageFile.read(folder), { code: "limits-failed" }, values);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("usage: a start beside the log of a file that was moved away begins no other one, and goes on once that is back", async () => {
  const folder = await Deno.makeTempDir();
  const path = join(folder, "usage.db");
  const aside = join(folder, "aside");
  try {
    {
      using file = UsageFile.open(folder);
      file.save("app", usageOf(1));
    }
    const killed = new DatabaseSync(path);
    killed.exec("PRAGMA wal_autocheckpoint=0; UPDATE usage SET day_requests = 7");
    const log = await Deno.readFile(`${path}-wal`);
    killed.close();
    for (const put of [() => Promise.resolve(), () => Deno.writeTextFile(path, "")]) {
      await Deno.rename(path, aside);
      await put();
      await Deno.writeFile(`${path}-wal`, log);
      for (const use of [UsageFile.open, UsageFile.read]) {
        assert.throws(() => use(folder), { code: "limits-failed", message: /is away$/ });
      }
      assert.deepEqual(await Deno.readFile(`${path}-wal`), log, "the log is as it was");
      await Deno.rename(aside, path);
    }
    using file = UsageFile.open(folder);
    assert.equal(file.load("app")!.day.requests, 7);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
