/**
 * `deno task client`: builds `src/client/library.ts` into `dist/client/`, a package for npm with one file for each
 * platform and no dependencies. The same sources give the same bytes.
 *
 *     deno run -A scripts/client/build.ts [OUTPUT]
 */
import { join } from "node:path";

const ROOT = new URL("../../", import.meta.url);
const HERE = new URL("./", import.meta.url);

/**
 * What of `platforms/` stands in for what on each platform: the whole difference between them. Deno has everything natively.
 * Node 20 lacks ML-KEM and base64 of bytes; a browser lacks `node:crypto` as well.
 */
const PLATFORMS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  deno: {},
  node: {
    "src/codecs.ts": "scripts/client/platforms/codecs_portable.ts",
    "src/sealed/kems.ts": "scripts/client/platforms/kems_node.ts",
    "src/client/connect.ts": "scripts/client/platforms/connect_node.ts",
  },
  browser: {
    "src/codecs.ts": "scripts/client/platforms/codecs_portable.ts",
    "src/sealed/primitives.ts": "scripts/client/platforms/primitives_web.ts",
    "src/sealed/kems.ts": "scripts/client/platforms/kems_web.ts",
    "src/client/connect.ts": "scripts/client/platforms/connect_web.ts",
  },
};

/** Packages whose code is in the bundles. All MIT; their notices travel with them. */
const BUNDLED = [
  "hpke",
  "@panva/hpke-noble",
  "@noble/hashes",
  "@noble/curves",
  "@noble/post-quantum",
];

async function bundle(platform: string, output: string): Promise<void> {
  const packages = JSON.parse(await Deno.readTextFile(new URL("deps.json", HERE))).imports;
  const imports: Record<string, string> = { ...packages };
  for (const [from, to] of Object.entries(PLATFORMS[platform]!)) {
    imports[new URL(from, ROOT).href] = new URL(to, ROOT).href;
  }
  const map = await Deno.makeTempFile({ suffix: ".json" });
  try {
    await Deno.writeTextFile(map, JSON.stringify({ imports }));
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "bundle",
        "--quiet",
        `--config=${new URL("deps.json", HERE).pathname}`,
        `--import-map=${map}`,
        "--frozen",
        // Built-ins of Node stay imports; for a browser there may be none.
        `--platform=${platform === "browser" ? "browser" : "deno"}`,
        `--output=${output}`,
        new URL("src/client/library.ts", ROOT).pathname,
      ],
      cwd: ROOT.pathname,
      stdout: "null",
      stderr: "piped",
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
  } finally {
    await Deno.remove(map);
  }
  const built = await Deno.readTextFile(output);
  const nodeOnly = /^import .*from "node:.*$/m.exec(built)?.[0];
  if (platform === "browser" && nodeOnly) throw new Error(`the browser's bundle has: ${nodeOnly}`);
  // Nothing here makes older syntax of it, and Node 20 and browsers do not know it: see src/secret.ts.
  const tooNew = /^\s*(await )?using \w+ =.*$/m.exec(built)?.[0];
  if (tooNew) throw new Error(`the bundle has a \`using\`: ${tooNew.trim()}`);
}

async function notices(): Promise<string> {
  const texts: string[] = [];
  const store = new URL("node_modules/.deno/", HERE);
  for await (const entry of Deno.readDir(store)) {
    for (const name of BUNDLED) {
      const [, version] = entry.name.match(new RegExp(`^${name.replace("/", "\\+")}@([\\d.]+)`)) ??
        [];
      if (version === undefined) continue;
      const folder = new URL(`${entry.name}/node_modules/${name}/`, store);
      const license = [...Deno.readDirSync(folder)].find((file) => /^licen[cs]e/i.test(file.name));
      if (!license) throw new Error(`${name} has no licence file`);
      const text = await Deno.readTextFile(new URL(license.name, folder));
      texts.push(`${name} ${version}\n\n${text.trim()}\n`);
    }
  }
  return texts.sort().join(`\n${"-".repeat(80)}\n\n`);
}

/** Builds the package into `output`. */
export async function buildClient(output: string): Promise<void> {
  await Deno.mkdir(output, { recursive: true });
  for (const platform of Object.keys(PLATFORMS)) {
    await bundle(platform, join(output, `${platform}.js`));
  }
  const { version } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  const manifest = {
    name: "secllama-client",
    version,
    description: "A fetch that seals: talk to SecLlama's models so that nobody between can read",
    license: "MIT",
    type: "module",
    sideEffects: false,
    engines: { node: ">=20" },
    types: "./index.d.ts",
    exports: {
      ".": {
        types: "./index.d.ts",
        deno: "./deno.js",
        browser: "./browser.js",
        node: "./node.js",
        default: "./browser.js",
      },
    },
    files: ["*.js", "*.d.ts", "THIRD-PARTY.txt"],
  };
  await Deno.writeTextFile(
    join(output, "package.json"),
    JSON.stringify(manifest, null, 2) + "\n",
  );
  await Deno.writeTextFile(join(output, "THIRD-PARTY.txt"), await notices());
  for (
    const [from, to] of [
      ["src/client/package.d.ts", "index.d.ts"],
      ["docs/client.md", "README.md"],
      ["LICENSE", "LICENSE"],
    ]
  ) {
    await Deno.copyFile(new URL(from!, ROOT), join(output, to!));
  }
}

if (import.meta.main) {
  const output = Deno.args[0] ?? new URL("dist/client", ROOT).pathname;
  await buildClient(output);
  console.log(`built ${output}`);
}
