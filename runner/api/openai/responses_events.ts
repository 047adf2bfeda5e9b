/**
 * The events of a streamed response, in the order OpenAI's API documents:
 *
 *     output_item.added → (reasoning_summary_part.added → reasoning_summary_text.delta… → .done → part.done
 *                       | content_part.added → output_text.delta… → output_text.done → content_part.done
 *                       | function_call_arguments.delta… → .done
 *                       | custom_tool_call_input.delta → .done) → output_item.done
 *
 * for each item: a thought, a message, a call. `response.created` and what ends a response are not made here.
 */
import { argumentsText } from "../../../src/replies/draft.ts";
import { newId } from "../reply_parser.ts";
import type { ReplyEvent, ToolCallDelta } from "../request.ts";
import { wireLogprobs } from "./common.ts";
import { CustomInput, customInput, type ResponsesTools, type WireName } from "./responses_tools.ts";

export type OutputItem = Readonly<Record<string, unknown>>;
/** Type and fields of an event. */
export type ResponseEvent = readonly [type: string, fields: Record<string, unknown>];

interface OpenItem {
  readonly kind: "reasoning" | "message";
  readonly id: string;
  text: string;
  logprobs: unknown[];
}

export class ResponseEvents {
  readonly #items: OutputItem[] = [];
  #open: OpenItem | undefined;
  /** The call that is written now. */
  #call: ReturnType<typeof callItem> | undefined;
  readonly #tools: ResponsesTools;

  constructor(tools: ResponsesTools) {
    this.#tools = tools;
  }

  /** The finished items. */
  get items(): readonly OutputItem[] {
    return this.#items;
  }

  process(event: ReplyEvent): ResponseEvent[] {
    if (event.type === "start") return [];
    const out: ResponseEvent[] = [];
    if (event.type === "delta") {
      if (event.thinking !== "") {
        this.#switchTo("reasoning", out);
        this.#thinking(event.thinking, out);
      }
      if (event.text !== "") {
        this.#switchTo("message", out);
        this.#text(event.text, wireLogprobs(event.logprobs), out);
      }
      for (const delta of event.toolDeltas) this.#delta(delta, out);
    } else {
      // A reply of nothing is still a message.
      if (this.#items.length === 0 && this.#open === undefined) this.#switchTo("message", out);
      this.#close(event.reason === "length" ? "incomplete" : "completed", out);
    }
    return out;
  }

  #switchTo(kind: OpenItem["kind"], out: ResponseEvent[]): void {
    if (this.#open?.kind === kind) return;
    this.#close("completed", out);
    const id = newId(kind === "message" ? "msg_" : "rs_");
    this.#open = { kind, id, text: "", logprobs: [] };
    const output_index = this.#items.length;
    if (kind === "message") {
      const item = { id, type: "message", status: "in_progress", role: "assistant", content: [] };
      out.push(["response.output_item.added", { output_index, item }]);
      out.push(["response.content_part.added", {
        item_id: id,
        output_index,
        content_index: 0,
        part: outputText("", []),
      }]);
    } else {
      const item = { id, type: "reasoning", summary: [] };
      out.push(["response.output_item.added", { output_index, item }]);
      out.push(["response.reasoning_summary_part.added", {
        item_id: id,
        output_index,
        summary_index: 0,
        part: { type: "summary_text", text: "" },
      }]);
    }
  }

  #thinking(delta: string, out: ResponseEvent[]): void {
    const open = this.#open!;
    open.text += delta;
    out.push(["response.reasoning_summary_text.delta", {
      item_id: open.id,
      output_index: this.#items.length,
      summary_index: 0,
      delta,
    }]);
  }

  #text(delta: string, logprobs: unknown[], out: ResponseEvent[]): void {
    const open = this.#open!;
    open.text += delta;
    open.logprobs.push(...logprobs);
    out.push(["response.output_text.delta", {
      item_id: open.id,
      output_index: this.#items.length,
      content_index: 0,
      delta,
      logprobs,
    }]);
  }

  #delta({ id, name, json, call }: ToolCallDelta, out: ResponseEvent[]): void {
    if (this.#call === undefined) {
      this.#close("completed", out);
      this.#call = callItem(id, this.#tools.wireName(name));
      const item = this.#call.item("in_progress", "");
      out.push(["response.output_item.added", { output_index: this.#items.length, item }]);
    }
    const open = this.#call;
    const place = { item_id: open.id, output_index: this.#items.length };
    const delta = open.input?.push(json) ?? json;
    open.text += delta;
    if (delta !== "") out.push([`response.${open.event}.delta`, { ...place, delta }]);
    if (call === undefined) return;
    this.#call = undefined;
    const text = open.input === undefined
      ? argumentsText(call)
      // Arguments of another form are shown as they are.
      : open.text !== "" || call.partial !== undefined
      ? open.text
      : customInput(call);
    if (open.text === "" && text !== "") {
      out.push([`response.${open.event}.delta`, { ...place, delta: text }]);
    }
    const named = open.wire.custom ? {} : { name: open.wire.name };
    const item = open.item(call.partial === undefined ? "completed" : "incomplete", text);
    out.push([`response.${open.event}.done`, { ...place, ...named, [open.field]: text }]);
    out.push(["response.output_item.done", { output_index: this.#items.length, item }]);
    this.#items.push(item);
  }

  #close(status: "completed" | "incomplete", out: ResponseEvent[]): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#open = undefined;
    const output_index = this.#items.length;
    const place = { item_id: open.id, output_index };
    let item: OutputItem;
    if (open.kind === "message") {
      const part = outputText(open.text, open.logprobs);
      const { text, logprobs } = part;
      item = { id: open.id, type: "message", status, role: "assistant", content: [part] };
      out.push(["response.output_text.done", { ...place, content_index: 0, text, logprobs }]);
      out.push(["response.content_part.done", { ...place, content_index: 0, part }]);
    } else {
      const part = { type: "summary_text", text: open.text };
      item = { id: open.id, type: "reasoning", summary: [part] };
      const { text } = part;
      out.push(["response.reasoning_summary_text.done", { ...place, summary_index: 0, text }]);
      out.push(["response.reasoning_summary_part.done", { ...place, summary_index: 0, part }]);
    }
    out.push(["response.output_item.done", { output_index, item }]);
    this.#items.push(item);
  }
}

/** A call, as an item of its kind. */
function callItem(call_id: string, wire: WireName) {
  const custom = wire.custom ?? false;
  const id = newId(custom ? "ctc_" : "fc_");
  const type = custom ? "custom_tool_call" : "function_call";
  const field = custom ? "input" : "arguments";
  const event = custom ? "custom_tool_call_input" : "function_call_arguments";
  const item = (status: string, text: string): OutputItem => (
    { id, type, status, call_id, ...named(wire), [field]: text }
  );
  const input = custom ? new CustomInput() : undefined;
  return { id, wire, field, event, item, input, text: "" };
}

function named({ name, namespace }: WireName) {
  return { name, ...(namespace === undefined ? {} : { namespace }) };
}

function outputText(text: string, logprobs: unknown[]) {
  return { type: "output_text", text, annotations: [], logprobs };
}
