/** What passed and has not changed since need not be checked again: digests of what was checked, in a file beside the tests' others. */
import { createHash } from "node:crypto";
import { dirname } from "node:path";

/** One check, and what it was made of when it last passed. */
const STAMPS = "build/test/checked.json";

/** Folders that hold what is made, not what is written; their packages are those of the lock files. */
const MADE = new Set([".git", "node_modules", "build", "dist", "coverage", "__pycache__"]);

/** A digest of every file in the tree, by path and content, and of the Deno that checks. */
export async function digestTree(root = "."): Promise<string> {
  const hash = createHash("sha256").update(Deno.version.deno);
  const walk = async (folder: string) => {
    // What a test has made there for a moment may be gone by now.
    const entries = await Array.fromAsync(Deno.readDir(folder)).catch(() => []);
    for (const { name, isDirectory, isFile } of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
      const path = `${folder}/${name}`;
      if (isDirectory && !MADE.has(name)) await walk(path);
      if (!isFile) continue;
      // A length before each: no two trees are the same bytes.
      const bytes = await Deno.readFile(path).catch(() => new Uint8Array());
      hash.update(JSON.stringify([path, bytes.length])).update(bytes);
    }
  };
  await walk(root);
  return hash.digest("hex");
}

type Stamps = Readonly<Record<string, string>>;

async function readStamps(file: string): Promise<Stamps> {
  const text = await Deno.readTextFile(file).catch(() => "{}");
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

/**
 * Runs each check that has not passed on this tree, or each one `anew`, one after the other, and notes that it has.
 * @param checks By name; each throws, or ends the program, if it fails.
 * @returns The names of those that were left out.
 */
export async function checkChanged(
  checks: Readonly<Record<string, () => Promise<void>>>,
  { anew = false, root = ".", file = STAMPS } = {},
): Promise<string[]> {
  const digest = await digestTree(root);
  const stamps = { ...await readStamps(file) };
  const left: string[] = [];
  for (const [name, check] of Object.entries(checks)) {
    if (!anew && stamps[name] === digest) {
      left.push(name);
      continue;
    }
    if (stamps[name] !== undefined) {
      // It may have passed before on this very tree, and fail now.
      delete stamps[name];
      await Deno.writeTextFile(file, JSON.stringify(stamps));
    }
    await check();
    // What was changed meanwhile may have been read before or after.
    if (await digestTree(root) !== digest) continue;
    stamps[name] = digest;
    await Deno.mkdir(dirname(file), { recursive: true });
    await Deno.writeTextFile(file, JSON.stringify(stamps));
  }
  return left;
}
