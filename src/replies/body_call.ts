/** A call whose name is known and whose arguments are all of a passage: JSON, or the code of a tool that takes code. */
import { argumentsText, type CallDelta, Draft, DraftText } from "./draft.ts";
import { JsonWalker } from "./json_walker.ts";
import { wholeMembers } from "./partial_json.ts";
import { lenientJson, type ParsedCall } from "./tools.ts";
import { isObject } from "./values.ts";

export class BodyCall {
  readonly #index: number;
  readonly #draft: Draft;
  readonly #codeKey: string | undefined;
  /** `none`: it is neither JSON nor code, and read at its end. */
  #reader: JsonWalker | DraftText | "none" | undefined;
  #raw: string[] = [];

  /** @param codeKey What text that is no JSON belongs to; absent: there is none such. */
  constructor(index: number, name: string, codeKey?: string) {
    this.#index = index;
    this.#draft = new Draft(name);
    this.#codeKey = codeKey;
  }

  push(text: string): CallDelta[] {
    this.#raw.push(text);
    let more = text;
    if (this.#reader === undefined) {
      const first = /\S/.exec(text)?.[0];
      if (first === undefined) return [];
      more = this.#raw.join("");
      this.#reader = "none";
      if (first === "{") this.#reader = this.#walker();
      else if (this.#codeKey !== undefined) {
        this.#draft.key(this.#codeKey);
        this.#reader = new DraftText(this.#draft);
      }
    }
    if (this.#reader instanceof DraftText) this.#reader.add(more);
    else if (this.#reader instanceof JsonWalker) this.#reader.push(more);
    const json = this.#draft.take();
    return json === "" ? [] : [{ index: this.#index, name: this.#draft.name, json }];
  }

  /** @param cut The reply ended before the passage did. */
  end(cut: boolean): CallDelta {
    const call = this.#call(cut);
    const rest = this.#draft.take();
    const json = this.#draft.isEmpty ? argumentsText(call) : rest;
    return { index: this.#index, name: call.name, json, call };
  }

  #walker(): JsonWalker {
    return new JsonWalker({
      open: () => {},
      close: () => {},
      string: () => {},
      text: (json) => this.#draft.add(json),
    });
  }

  #call(cut: boolean): ParsedCall {
    const reader = this.#reader;
    if (reader instanceof DraftText && !cut) {
      reader.end();
      this.#draft.close();
    } else if (reader instanceof JsonWalker && reader.state === "done") this.#draft.finish();
    if (!this.#draft.isEmpty) return this.#draft.call();
    const { name } = this.#draft;
    const raw = this.#raw.join("");
    const parsed = lenientJson(raw.trim() === "" && !cut ? "{}" : raw);
    if (isObject(parsed)) return { name, arguments: parsed };
    // Arguments that are no JSON are a call all the same: the tool's owner can say what is wrong with it.
    return { name, arguments: wholeMembers(raw), ...(cut ? { partial: raw } : {}) };
  }
}
