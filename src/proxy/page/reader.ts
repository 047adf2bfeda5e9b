/** Reads a reply as it passes, and makes the message of it that the history keeps. */
import type { NewMessage } from "../../api/history.ts";
import { newProgress, type Progress, statsOf, takeLine } from "../../api/reply_lines.ts";

/** What a page says of the answer that it asks for: which message it follows, and the model. */
export interface Keep {
  readonly parent: string;
  readonly model: string;
}

export class ReplyReader {
  readonly progress: Progress = newProgress();
  readonly #decoder = new TextDecoder();
  #rest = "";

  /** Takes the next bytes. */
  take(chunk: Uint8Array): void {
    const lines = (this.#rest + this.#decoder.decode(chunk, { stream: true })).split("\n");
    this.#rest = lines.pop()!;
    for (const line of lines) this.#line(line);
  }

  #line(line: string): void {
    if (line === "") return;
    try {
      takeLine(this.progress, Object(JSON.parse(line)) as Record<string, unknown>);
    } catch { /* it broke off in it */ }
  }

  /** The message, `ms` after it was asked for; undefined: nothing was said that could be kept. */
  message({ parent, model }: Keep, ms: number): NewMessage | undefined {
    const { content, thinking, toolCalls, error } = this.progress;
    if (error && content === "" && thinking === "") return undefined;
    return {
      parent,
      role: "assistant",
      content,
      model,
      ...(thinking === "" ? {} : { thinking }),
      ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls }),
      stats: { ...statsOf(this.progress, ms) },
    };
  }
}
