/** A rule of the house: a test that cannot run prints why, and does not pass. */
import assert from "node:assert/strict";
import { dirname, join, relative } from "node:path";

const ROOT = new URL("../", import.meta.url).pathname;
/** What names skips to test them. */
const EXAMPLES = /^tests\/(house|joined|queue|skips)_test\.ts$/;

/** Files of tests, and what they share, by their path from the root. */
async function testFiles(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  async function walk(folder: string): Promise<void> {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      if (name.startsWith(".") || name === "node_modules") continue;
      const path = join(folder, name);
      if (isDirectory) await walk(path);
      else if (name.endsWith(".ts")) {
        const short = relative(ROOT, path);
        if (!/^tests\/|_test\.ts$|(^|\/)testing/.test(short) || EXAMPLES.test(short)) continue;
        found.set(short, await Deno.readTextFile(path));
      }
    }
  }
  for (const folder of ["src", "runner", "tests"]) await walk(join(ROOT, folder));
  return found;
}

/** The expression that begins there: up to a comma or semicolon that is not in brackets, or the bracket that ends it. */
function expressionAt(text: string, at: number): string {
  let depth = 0;
  for (let end = at; end < text.length; end++) {
    const sign = text[end]!;
    if ("([{".includes(sign)) depth++;
    else if (")]}".includes(sign) && depth-- === 0) return text.slice(at, end);
    else if (depth === 0 && ",;".includes(sign)) return text.slice(at, end);
  }
  return text.slice(at);
}

/** Names in an expression, without those of properties and what calls are given. */
function namesIn(expression: string): string[] {
  let plain = expression.replace(/\/\*[^]*?\*\/|(?<!:)\/\/[^\n]*/g, "")
    .replace(/"(?:[^"\\\n]|\\.)*"/g, '""');
  for (let before; before !== plain;) {
    [before, plain] = [plain, plain.replace(/(?<=\w)\([^()]*\)/g, "")];
  }
  const words = plain.match(/(?<![\w.$])[A-Za-z_$][\w$]*/g) ?? [];
  return words.filter((word) => !/^(true|false|undefined|null|await|typeof|new)$/.test(word));
}

const PRINTS = /\bconsole\.(?:log|error)\(/;

class Skips {
  constructor(private readonly files: ReadonlyMap<string, string>) {}

  /** `path:line expression` of each that is silent, and how many there are. */
  find(): { silent: string[]; seen: number } {
    const silent: string[] = [];
    let seen = 0;
    for (const [path, text] of this.files) {
      for (const found of text.matchAll(/(?<=[{,]\s*)ignore(?::\s*|(?=\s*[,}]))/g)) {
        seen++;
        const end = found.index + found[0].length;
        const expression = found[0] === "ignore" ? "ignore" : expressionAt(text, end);
        const before = text.slice(0, found.index);
        const isSaid = expression.trim() === "true"
          ? PRINTS.test(before.slice(-300))
          : this.#isConditionSaid(path, expression, new Set());
        if (!isSaid) silent.push(`${path}:${before.split("\n").length} ${expression.trim()}`);
      }
    }
    return { silent, seen };
  }

  /** Of what holds by itself each must be said; of what must hold together, one. */
  #isConditionSaid(path: string, expression: string, seen: Set<string>): boolean {
    return expression.split("||").every((one) =>
      one.split("&&").some((part) => {
        const names = namesIn(part);
        return part.trim() === "false" ||
          names.length > 0 && names.every((name) => this.#isSaid(path, name, seen));
      })
    );
  }

  /** Whether something is printed where a name holds, in its file or where that has it from. */
  #isSaid(path: string, name: string, seen: Set<string>): boolean {
    const text = this.files.get(path);
    if (text === undefined || seen.has(`${path} ${name}`)) return false;
    seen.add(`${path} ${name}`);
    for (const [, on] of text.matchAll(/\bif \(([^\n]*)\)\s*\{?\s*console\.(?:log|error)\(/g)) {
      if (new RegExp(`\\b${name}\\b`).test(on!)) return true;
    }
    const called = new RegExp(`function ${name}\\(`).exec(text);
    if (called) {
      const body = text.slice(called.index, text.indexOf("\n}", called.index));
      return PRINTS.test(body) || namesIn(body.slice(body.indexOf("{")))
        .some((one) => this.#isSaid(path, one, seen));
    }
    const made = new RegExp(`(?:const |let |[(,]\\s*)${name}(?:: [\\w| ]+)? = `).exec(text);
    if (made) {
      return this.#isConditionSaid(path, expressionAt(text, made.index + made[0].length), seen);
    }
    for (const [, names, from] of text.matchAll(/import\s+\{([^}]*)\}\s+from\s+"(\.[^"]+)"/g)) {
      for (const one of names!.split(",")) {
        const [there, here = there] = one.trim().split(" as ");
        if (here === name) return this.#isSaid(join(dirname(path), from!), there!, seen);
      }
    }
    return false;
  }
}

Deno.test("a test that is ignored prints why", async () => {
  const { silent, seen } = new Skips(await testFiles()).find();
  assert.ok(seen > 200, `only ${seen} were seen`);
  assert.deepEqual(silent, [], "print `skipped: why`, or use tests/support/systems.ts");
});

Deno.test("the rule of skips notices what it must", () => {
  const lines = (text: string) =>
    new Skips(
      new Map([
        ["tests/a_test.ts", text],
        ["tests/b.ts", 'export const no = f();\nif (no) console.log("skipped: no");'],
        [
          "tests/c.ts",
          'export function said() {\n  console.log("skipped");\n}\nexport const quiet = 1;',
        ],
      ]),
    ).find().silent.length;
  const from = (file: string, name: string) => `import { ${name} } from "./${file}.ts";\n`;
  for (
    const text of [
      'Deno.test({ name, ignore: Deno.build.os === "windows", fn });',
      "const ignore = !there;\nDeno.test({ name, ignore, fn });",
      `${from("c", "quiet")}Deno.test({ ignore: quiet !== undefined });`,
      `${from("b", "no")}Deno.test({ ignore: no || Deno.uid() !== 0 });`,
      "Deno.test({ ignore: true });",
    ]
  ) assert.equal(lines(text), 1, text);
  for (
    const text of [
      "const ignore = !there;\nif (ignore) console.log(`skipped: ${why}`);\nDeno.test({ ignore, fn });",
      `${from("b", "no as none")}Deno.test({ ignore: none !== undefined });`,
      `${from("c", "said")}const it = said("x", y);\nDeno.test({ ignore: it });`,
      `${from("b", "no")}Deno.test({ ignore: no && Deno.uid() !== 0 });`,
    ]
  ) assert.equal(lines(text), 0, text);
});

/** Where a test says in its middle that its rest cannot run: what goes before is tested. */
const PARTLY: { readonly [path: string]: string } = {
  "runner/engine/library_test.ts": "names of files, of Linux on x86-64 alone",
  "src/config/settings_test.ts": "a file that root gives away",
  "tests/sandbox/read_filters_test.ts": "a kernel that does not let filters be read",
};

Deno.test("a test that is skipped does not pass: it is ignored", async () => {
  const skipping = /\breturn (?:void )?console\.(?:log|error)\(\s*[`"]skip/i;
  const found = [...await testFiles()].filter(([, text]) => skipping.test(text));
  assert.deepEqual(found.map(([path]) => path).sort(), Object.keys(PARTLY).sort());
  assert.match('if (no) return console.log("skipped: no");', skipping);
});

Deno.test("the first thing that a test does is not to return: it would pass", async () => {
  const returning = /(?:async \(t?\) => \{|Promise<void> \{)\n\s+if \(![\w.]+(?:\(\))?\) return;/;
  const found = [...await testFiles()].filter(([, text]) => returning.test(text));
  assert.deepEqual(found.map(([path]) => path), []);
  assert.match('Deno.test("a", async () => {\n  if (!can()) return;\n});', returning);
});
