/** Entry of the gateway, the proxy and the command line: argv in, exit code out. The only `Deno.exit`. */
import { runCli } from "./src/cli/main.ts";

if (import.meta.main) Deno.exit(await runCli(Deno.args));
