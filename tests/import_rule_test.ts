/** The dependency rule of ARCHITECTURE.md, kept by what Deno itself says the imports are. */
import assert from "node:assert/strict";
import { join, relative } from "node:path";

const ROOT = new URL("../", import.meta.url).pathname;

/** Folder (or file) → what it may import of our own. Bottom up; `runner/` sits beside, on the pure parts only. */
const BASE = [
  "src/api",
  "src/duration.ts",
  "src/exact_json.ts",
  "src/errors.ts",
  "src/hints.ts",
  "src/loopback.ts",
  "src/pem.ts",
  "src/plural.ts",
  "src/secret.ts",
  "src/budget.ts",
  "src/shares.ts",
  "src/codecs.ts",
  "src/bytes.ts",
  "src/log.ts",
  "src/suggest.ts",
  "src/permissions.ts",
  "src/pause.ts",
  "src/read_up_to.ts",
  "src/newer_file.ts",
  "src/database_files.ts",
  "src/held_database.ts",
  "src/file_stamp.ts",
  "src/worker.ts",
  "src/temp_folder.ts",
  "src/linux",
  "src/macos",
  "src/windows",
];
const RULES: { readonly [part: string]: readonly string[] } = {
  "src/errors.ts": [],
  "src/hints.ts": [],
  "src/budget.ts": ["src/errors.ts"],
  "src/budget_test.ts": ["src/budget.ts"],
  "src/shares.ts": [],
  "src/shares_test.ts": ["src/shares.ts"],
  "src/codecs.ts": [],
  "src/codecs_test.ts": [],
  "src/bytes.ts": ["src/codecs.ts"],
  "src/secret.ts": ["src/bytes.ts"],
  "src/secret_test.ts": ["src/secret.ts", "scripts/lint"],
  "src/log.ts": [],
  "src/suggest.ts": [],
  "src/suggest_test.ts": ["src/suggest.ts"],
  "src/version.ts": [],
  "src/duration.ts": [],
  "src/exact_json.ts": [],
  "src/exact_json_test.ts": ["src/exact_json.ts"],
  "src/loopback.ts": [],
  "src/temp_folder.ts": [],
  "src/plural.ts": [],
  "src/pem.ts": ["src/bytes.ts"],
  // What two processes must agree on. Everything may know it; it knows nothing.
  "src/api": [
    "src/replies",
    "src/errors.ts",
    "src/budget.ts",
    "src/codecs.ts",
    "src/bytes.ts",
    "src/duration.ts",
    "src/suggest.ts",
  ],
  "src/permissions.ts": [],
  "src/pause.ts": [],
  "src/pause_test.ts": ["src/pause.ts"],
  "src/read_up_to.ts": ["src/bytes.ts"],
  "src/newer_file.ts": ["src/errors.ts", "src/hints.ts"],
  "src/database_files.ts": ["src/file_stamp.ts"],
  "src/held_database.ts": ["src/database_files.ts"],
  "src/file_stamp.ts": [],
  "src/file_stamp_test.ts": ["src/file_stamp.ts", "src/bytes.ts"],
  "src/worker.ts": [],
  "src/macos": [],
  "src/windows": ["src/plural.ts"],
  "src/linux": ["src/errors.ts", "src/codecs.ts", "src/bytes.ts"],
  "src/sealed": BASE,
  "src/pipe": BASE,
  "src/config": BASE,
  // Jinja2's language: pure, with the budget of whoever runs it.
  "src/jinja": ["src/errors.ts", "src/budget.ts"],
  // A chat template's needs, and conversations in the form that it takes: pure.
  "src/templates": [
    "src/errors.ts",
    "src/budget.ts",
    "src/exact_json.ts",
    "src/jinja",
    "src/replies",
  ],
  // What a reply of any family means: pure.
  "src/replies": ["src/exact_json.ts"],
  "src/models": [...BASE, "src/jinja", "src/replies", "src/templates"],
  // It is handed what it must know of the API.
  "src/http": BASE.filter((part) => part !== "src/api"),
  // Of the product's own network traffic, all that goes beyond the user's gateway. Only the command line may start it.
  "src/pull": [...BASE, "src/config", "src/models"],
  "src/bundle": BASE,
  // What an attack is, and each by native calls. The runner's place and the gateway's both make them.
  "src/escape": BASE,
  // Of the sealed format the tree of keys, and what the host says and seals under them. Nothing that opens.
  "src/keys": [
    ...BASE,
    "src/sealed/suite.ts",
    "src/sealed/psk.ts",
    "src/sealed/key_document.ts",
    "src/sealed/renewal_sealer.ts",
  ],
  "src/sandbox": [...BASE, "sandbox-profiles"],
  // The record of who did what: SQLite, a Merkle tree, signed heads. Of the keys only what authenticates it.
  "src/audit": [...BASE, "src/keys", "src/version.ts"],
  // All that a host keeps, in one sealed file.
  "src/backup": [...BASE, "src/keys", "src/audit", "src/version.ts"],
  // Tokens, roles and limits of those who come.
  "src/firm": [...BASE, "src/keys"],
  // Hosts of one issuer: it derives, seals and signs; they open what is theirs.
  "src/fleet": [
    ...BASE,
    // Limits and audit logs hold over all hosts.
    "src/audit",
    "src/firm",
    // Why a certificate of NATS is refused.
    "src/client/certificate_fault.ts",
    "src/keys",
    "src/sealed/key_document.ts",
    "src/sealed/member.ts",
    "src/sealed/primitives.ts",
    "src/sealed/psk.ts",
    "src/sealed/suite.ts",
  ],
  "src/tls": [...BASE, "src/keys"],
  "src/client": [...BASE, "src/sealed"],
  "src/supervisor": [
    ...BASE,
    "src/config",
    "src/escape",
    "src/keys",
    "src/linux",
    "src/sandbox",
    "src/pipe",
    "src/models",
  ],
  "src/gateway": [
    ...BASE,
    "src/config",
    // Counts what each client asked for.
    "src/firm",
    "src/http",
    "src/keys",
    "src/sandbox",
    "src/pipe",
    "src/models",
    "src/supervisor",
    // Of the sealed format the gateway knows the header, and the proofs of what is not sealed, which have a key of their
    // own. Nothing that opens.
    "src/sealed/header.ts",
    "src/sealed/proof.ts",
    "src/sealed/member.ts",
  ],
  // Conversations on the disk, sealed; it is handed its keys by the key manager.
  "src/history": [...BASE, "src/keys", "src/documents"],
  // Files that strangers made, as passages: read in threads without permissions.
  "src/documents": BASE,
  // What runs in the browser. It has the proxy's API only.
  "src/page": ["src/api", "src/plural.ts"],
  "src/proxy": [
    ...BASE,
    "src/http",
    "src/client",
    "src/keys",
    "src/firm",
    "src/history",
    // Sent as they are.
    "src/page/page.css",
    "src/page/icon.svg",
  ],
  // The whole list in a fresh sandbox, and what each attack came to.
  "src/escape/run": [...BASE, "src/escape", "src/sandbox"],
  // systemd and launchd: units, their programs, the key as a credential.
  "src/service": [...BASE, "src/keys"],
  // What composes the roles; it knows no command.
  "src/app": [
    ...BASE,
    "src/audit",
    "src/firm",
    "src/fleet",
    "src/bundle",
    "src/client",
    "src/config",
    "src/gateway",
    "src/history",
    "src/http",
    "src/keys",
    "src/models",
    "src/proxy",
    "src/sandbox",
    "src/supervisor",
    "src/tls",
    "src/version.ts",
  ],
  "src/cli": ["src"],
  "main.ts": ["src/cli"],
  // Stage 2 is a policy, and policies are data.
  "runner": [
    ...BASE,
    "src/replies",
    "src/templates",
    "src/escape",
    "src/sealed",
    "src/pipe",
    "sandbox-profiles",
  ],
};

/** Package → the only places that may import it. */
const PACKAGES: { readonly [name: string]: readonly string[] } = {
  hono: ["src/gateway", "src/proxy", "runner/api"],
  "node-llama-cpp": ["runner/engine"],
  hpke: ["src/sealed"],
  "@nats-io/kv": ["src/fleet"],
  "@nats-io/transport-node": ["src/fleet"],
  "hash-wasm": ["src/keys"],
  "smol-toml": ["src/config"],
  jose: ["src/firm"],
  "openid-client": ["src/cli"],
  qr: ["src/cli"],
  unpdf: ["src/documents"],
  preact: ["src/page"],
  marked: ["src/page"],
  temml: ["src/page"],
};

/** Helpers, fakes, and what leaves out parts of a protection: for tests and benches only. */
const TEST_SUPPORT = /(^|\/)(testing(_[a-z0-9_]+)?|fake_[a-z0-9_]+|[a-z0-9_]+_test)\.ts$/;

interface Info {
  modules: {
    specifier: string;
    dependencies?: {
      specifier: string;
      isDynamic?: boolean;
      code?: { specifier?: string };
      type?: { specifier?: string };
    }[];
  }[];
}

async function sourceFiles(): Promise<string[]> {
  const files: string[] = [];
  async function walk(folder: string) {
    for await (const entry of Deno.readDir(folder)) {
      const path = join(folder, entry.name);
      if (entry.isDirectory) await walk(path);
      else if (/\.tsx?$/.test(path)) files.push(path);
    }
  }
  for (const folder of ["src", "runner"]) await walk(join(ROOT, folder));
  return [...files, join(ROOT, "main.ts")];
}

function under(path: string, part: string): boolean {
  return path === part || path.startsWith(part + "/");
}

/** Every import of ours: [importer, imported, as written]. `code`: without types, and without what is imported later, if at all. */
async function imports(kind: "all" | "code" = "all"): Promise<[string, string, string][]> {
  // Below the root, where the names of packages mean what they mean there; and where nothing is looked at if it stays.
  const dir = join(ROOT, "build");
  await Deno.mkdir(dir, { recursive: true });
  const temp = await Deno.makeTempFile({ dir, prefix: "imports-", suffix: ".ts" });
  try {
    const files = await sourceFiles();
    await Deno.writeTextFile(temp, files.map((f) => `import ${JSON.stringify(f)};`).join("\n"));
    const { stdout, success } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", temp],
      stdout: "piped",
      stderr: "null",
    }).output();
    assert.ok(success);
    const info = JSON.parse(new TextDecoder().decode(stdout)) as Info;
    const found: [string, string, string][] = [];
    for (const module of info.modules) {
      if (!module.specifier.startsWith(`file://${ROOT}`) || module.specifier.endsWith(temp)) {
        continue;
      }
      const from = relative(ROOT, new URL(module.specifier).pathname);
      for (const d of module.dependencies ?? []) {
        if (kind === "code" && (d.isDynamic || d.code?.specifier === undefined)) continue;
        const target = d.code?.specifier ?? d.type?.specifier ?? "";
        found.push([
          from,
          target.startsWith("file://") ? relative(ROOT, new URL(target).pathname) : target,
          d.specifier,
        ]);
      }
    }
    return found;
  } finally {
    await Deno.remove(temp);
  }
}

function violations(all: readonly [string, string, string][]): string[] {
  const bad: string[] = [];
  for (const [from, to, written] of all) {
    // What tests beside their sources use of the tests' own folders.
    if (under(from, "tests") || under(from, "scripts")) continue;
    const isTest = TEST_SUPPORT.test(from);
    const part = Object.keys(RULES).filter((p) =>
      under(from, p)
    ).sort((a, b) => b.length - a.length)[0];
    if (!part) {
      bad.push(`${from} is in no place of the tree`);
      continue;
    }
    if (isTest) continue;
    if (TEST_SUPPORT.test(to)) bad.push(`${from} → ${to}, which is for tests and benches only`);
    if (/^(src|runner|tests|scripts|bench|main\.ts|sandbox-profiles)/.test(to)) {
      if (!under(to, part) && !RULES[part]!.some((allowed) => under(to, allowed))) {
        bad.push(
          `${from} → ${to}`,
        );
      }
    }
    for (const [name, places] of Object.entries(PACKAGES)) {
      if (
        (written === name || written.startsWith(name + "/")) && !places.some((p) => under(from, p))
      ) {
        bad.push(`${from} → ${written}`);
      }
    }
  }
  return bad;
}

Deno.test("imports point down, and each package is used in its one place", async () => {
  const all = await imports();
  assert.ok(all.length > 100, `only ${all.length} imports were seen`);
  assert.deepEqual(violations(all), []);
  // `deno check` is silent about a dynamic import of what is not there.
  const there = new Set((await sourceFiles()).map((path) => relative(ROOT, path)));
  const missing = all.filter(([, to]) => /^(src|runner)\/.*\.tsx?$/.test(to) && !there.has(to));
  assert.deepEqual(missing, []);
});

/**
 * Circles among the edges: sets of files each of which reaches the others. Files of a circle run in an order that nobody wrote
 * down, and none of them can be understood or tested without the rest.
 */
function circles(edges: readonly (readonly [string, string])[]): string[][] {
  const next = new Map<string, string[]>();
  for (const [from, to] of edges) next.set(from, [...(next.get(from) ?? []), to]);
  const reached = new Map<string, Set<string>>();
  for (const start of next.keys()) {
    const seen = new Set<string>();
    const queue = [...next.get(start)!];
    for (let file; (file = queue.pop()) !== undefined;) {
      if (seen.has(file)) continue;
      seen.add(file);
      queue.push(...next.get(file) ?? []);
    }
    reached.set(start, seen);
  }
  const found = new Map<string, string[]>();
  for (const [file, seen] of reached) {
    if (!seen.has(file)) continue;
    const circle = [...seen].filter((other) => reached.get(other)?.has(file)).sort();
    found.set(circle[0]!, circle);
  }
  return [...found.values()];
}

Deno.test("no files import each other at run time, not even over others", async () => {
  const runtime = (await imports("code")).map(([from, to]) => [from, to] as const);
  assert.ok(runtime.length > 500, `only ${runtime.length} imports were seen`);
  assert.deepEqual(circles(runtime), []);
  assert.deepEqual(circles([["a", "b"], ["b", "c"], ["c", "b"], ["d", "d"], ["c", "e"]]), [
    ["b", "c"],
    ["d"],
  ]);
});

Deno.test("no rooms import each other, not even types of each other, not even over others", async () => {
  // A file beside the folders of src is a room of its own.
  const room = (file: string) => file.split("/").slice(0, 2).join("/");
  const edges = (await imports()).filter(([from, to]) =>
    /^(src|runner)\//.test(from) && /^(src|runner)\//.test(to) && !TEST_SUPPORT.test(from)
  ).map(([from, to]) => [room(from), room(to)] as const).filter(([from, to]) => from !== to);
  assert.ok(edges.length > 500, `only ${edges.length} imports were seen`);
  assert.deepEqual(circles(edges), []);
});

Deno.test("src and runner import packages of deno.json only", async () => {
  const { imports: known } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
  const packages = (await imports()).filter(([from, , written]) =>
    /^(src|runner|main\.ts)/.test(from) && !/^(\.|node:|\/)/.test(written)
  );
  assert.ok(packages.length > 5, `only ${packages.length} were seen`);
  const strange = packages.filter(([, , written]) =>
    !(written in known) && !(written.replace(/\/.*/, "") in known)
  );
  assert.deepEqual(strange, [], "tests that need more packages are in tests/");
});

/** Our files that a program loads at its start: what it imports dynamically comes later, if at all. */
async function loadedAtStart(entry: string): Promise<string[]> {
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", join(ROOT, entry)],
    stdout: "piped",
    stderr: "null",
  }).output();
  assert.ok(success);
  const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as Info;
  const bySpecifier = new Map(modules.map((module) => [module.specifier, module]));
  const seen = new Set<string>();
  const queue = [`file://${ROOT}${entry}`];
  for (let specifier; (specifier = queue.pop());) {
    if (seen.has(specifier)) continue;
    seen.add(specifier);
    for (const d of bySpecifier.get(specifier)?.dependencies ?? []) {
      if (!d.isDynamic && d.code?.specifier) queue.push(d.code.specifier);
    }
  }
  return [...seen].filter((s) => s.startsWith(`file://${ROOT}`)).map((s) =>
    relative(ROOT, new URL(s).pathname)
  );
}

Deno.test("serve, proxy and runner start without anything that pulls", async () => {
  const pulls = (files: string[]) => files.filter((file) => under(file, "src/pull"));
  for (const entry of ["src/cli/serve.ts", "src/cli/proxy.ts", "runner/main.ts"]) {
    const files = await loadedAtStart(entry);
    assert.ok(files.length > 20, `${entry} loads ${files.length}`);
    assert.deepEqual(pulls(files), [], entry);
  }
  assert.ok(pulls(await loadedAtStart("src/cli/management.ts")).length > 3, "it would be seen");
});

Deno.test("the import rule notices what it must", () => {
  const wrong: [string, string, string][] = [
    ["src/gateway/relay.ts", "src/sealed/recipient.ts", "../sealed/recipient.ts"],
    ["src/sealed/suite.ts", "src/keys/mod.ts", "../keys/mod.ts"],
    ["src/gateway/routes/management.ts", "src/pull/pull.ts", "../../pull/pull.ts"],
    ["runner/main.ts", "src/pull/pull.ts", "../src/pull/pull.ts"],
    ["runner/session.ts", "src/keys/mod.ts", "../src/keys/mod.ts"],
    ["runner/session.ts", "npm:hono", "hono"],
    ["src/sandbox/linux/platform.ts", "src/sandbox/linux/testing.ts", "./testing.ts"],
    ["src/keys/stores/backend.ts", "src/keys/stores/fake_security.ts", "./fake_security.ts"],
    ["src/sealed/suite.ts", "src/sealed/frames_test.ts", "./frames_test.ts"],
    ["src/linux/libc.ts", "src/sandbox/plan.ts", "../sandbox/plan.ts"],
    ["utils/x.ts", "src/bytes.ts", "../src/bytes.ts"],
  ];
  assert.equal(violations(wrong).length, wrong.length);
  assert.deepEqual(
    violations([[
      "src/gateway/routes/sealed.ts",
      "src/sealed/header.ts",
      "../../sealed/header.ts",
    ]]),
    [],
  );
});

Deno.test("the tests run on the same versions of the product's packages", async () => {
  const imports = async (path: string) =>
    JSON.parse(await Deno.readTextFile(join(ROOT, path))).imports as Record<string, string>;
  const [product, tests] = [await imports("deno.json"), await imports("tests/deps.json")];
  // node-llama-cpp is never imported: it brings the libraries, and its overrides hold for the product's install only. Node's types
  // are no code: without them a plain `deno check` does not find what node-llama-cpp's own types refer to.
  const { "node-llama-cpp": _, "@types/node": __, ...shared } = product;
  for (const [name, version] of Object.entries(shared)) assert.equal(tests[name], version, name);
  for (const version of Object.values({ ...product, ...tests })) {
    assert.match(version, /@\d+\.\d+\.\d+\/?$/);
  }
});

Deno.test("the version is the same in both places", async () => {
  const { version } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
  const { VERSION } = await import("../src/version.ts");
  assert.equal(VERSION, version);
});
