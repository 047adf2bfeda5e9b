/**
 * The real runner on a processor where what it computes with is what stage 2 stops: llama.cpp then ends the process. For
 * aborting_runner_test.ts, which bundles it in the runner's place.
 */
import { Scheduler } from "../../runner/engine/scheduler.ts";

const { symbols: libc } = Deno.dlopen("libc.so.6", { abort: { parameters: [], result: "void" } });
Scheduler.prototype.submit = () => libc.abort();

await import("../../runner/main.ts");
