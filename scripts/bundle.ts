/**
 * Bundles the runner, the attacker and the page's two scripts (on Windows the launcher too) to one file each in `build/`: in
 * the sandbox there is no source tree to import from, and in a browser no TypeScript.
 * Does nothing when the bundles are newer than every source file. The npm packages are got first.
 */
import { newest, RUNNER_SOURCES } from "./newest.ts";
import { installPackages } from "./packages.ts";

const ENTRIES: readonly (readonly [entry: string, out: string, ...options: string[]])[] = [
  ["runner/main.ts", "build/runner.js"],
  ["runner/attacker.ts", "build/attacker.js"],
  ["src/page/main.tsx", "build/page.js", "--platform=browser", "--minify"],
  ["src/page/reading.ts", "build/page_reading.js", "--platform=browser", "--minify"],
  // On Linux and macOS a runner is started without a program of ours in between.
  ...(Deno.build.os === "windows"
    ? [["src/sandbox/windows/launch_main.ts", "build/launch.js"] satisfies [string, string]]
    : []),
];

await installPackages();

const sources = await newest(RUNNER_SOURCES);
await Deno.mkdir("build", { recursive: true });
for (const [entry, out, ...options] of ENTRIES) {
  const built = await Deno.stat(out).then((s) => s.mtime!.getTime(), () => 0);
  if (built > sources) continue;
  // Written aside and renamed: two starts at once never see half a bundle.
  const temp = `${out}.${Deno.pid}`;
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "bundle",
      "--quiet",
      ...(options.length > 0 ? options : ["--platform=deno"]),
      "--output",
      temp,
      entry,
    ],
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) {
    console.error(new TextDecoder().decode(stderr));
    Deno.exit(1);
  }
  await Deno.rename(temp, out);
}
