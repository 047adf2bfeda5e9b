/**
 * What stands in the terminal until the first token: a sign of work, and, while the model is loaded for this request, how far that
 * has come. The gateway tells it to those who wait, and only of what they wait for.
 */
import { loadOf } from "../../api/loading.ts";
import { ROUTES } from "../../api/routes.ts";
import { pause } from "../../pause.ts";
import { Progress } from "../progress.ts";
import type { Tui } from "../tui.ts";
import type { Post } from "./ask.ts";

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const FRAME_MS = 100;
/** Between two questions after the load. An answer that comes at once asks none. */
const ASK_MS = 300;
/** Without a terminal, whose log has a line in ten seconds. */
const ASK_LOG_MS = 2_000;

/** Begins to show it. @returns What ends it; it may be called again. */
export function showWork(
  tui: Tui,
  model: string,
  post: Post,
  signal: AbortSignal,
): () => void {
  const progress = new Progress(tui);
  const stop = new AbortController();
  let frame = 0;
  /** A load is shown: no other sign is needed. */
  let loading = false;
  let shown = false;
  const turn = () => {
    if (loading) return;
    shown = true;
    tui.progress(FRAMES[frame++ % FRAMES.length]);
  };
  const timer = tui.canReplace ? setInterval(turn, FRAME_MS) : undefined;
  const ask = async () => {
    const asked = AbortSignal.any([signal, stop.signal]);
    const everyMs = tui.canReplace ? ASK_MS : ASK_LOG_MS;
    for (await pause(everyMs, asked); !asked.aborted; await pause(everyMs, asked)) {
      const answer = await post(ROUTES.ps.path, undefined, asked);
      const load = loadOf(await answer.json(), model);
      if (stop.signal.aborted || load === "loaded") return;
      loading = load !== undefined;
      if (load === undefined) continue;
      shown = true;
      const { status, completed, total } = load;
      if (status === "waiting") progress.say(`${model} waits for room beside other models…`);
      else if (status === "checking") progress.to(`checking ${model}`, completed, total);
      else progress.load(model, completed, total);
    }
  };
  // Whatever goes wrong here, the request itself says it better.
  void ask().catch(() => {}).finally(() => loading = false);
  return () => {
    if (stop.signal.aborted) return;
    stop.abort();
    clearInterval(timer);
    if (shown) tui.progress(undefined);
  };
}
