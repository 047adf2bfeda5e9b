/** The launcher as a program: takes its orders as the last argument, ends with the runner's code, or 126 with one line. */
import { openWindowsApi } from "../../windows/api.ts";
import { launch } from "./launch.ts";
import type { WindowsLaunchSpec } from "./plan.ts";

export async function launchMain(argument: string): Promise<number> {
  try {
    return await launch(JSON.parse(argument) as WindowsLaunchSpec, openWindowsApi());
  } catch (error) {
    console.error(`launcher: ${error instanceof Error ? error.message : "failed"}`);
    return 126;
  }
}

if (import.meta.main) Deno.exit(await launchMain(Deno.args.at(-1) ?? ""));
