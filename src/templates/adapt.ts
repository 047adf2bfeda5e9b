/**
 * A conversation of any shape made one that a template takes. Nothing that somebody said is left out: what has no place of
 * its own is told in another's. Pure, and in time proportional to the conversation's length.
 */
import { exactText } from "../exact_json.ts";
import { pairResults } from "./ids.ts";
import type { Needs } from "./needs.ts";
import type { Call, Conversation, Message, Tool } from "./types.ts";

/** Between texts that are made one. As Ollama joins them. */
const GAP = "\n\n";

/** Roles that mean another's, in whichever template. */
const SAME_ROLE: Readonly<Record<string, string>> = {
  model: "assistant",
  function: "tool",
  ipython: "tool",
};

/** The messages that the template is given. Tools are written into them where the template knows none. */
export function adapt({ messages, tools = [] }: Conversation, needs: Needs): Message[] {
  let out = messages.map((message) => {
    const role = SAME_ROLE[message.role] ??
      (message.role === "developer" && needs.developer === "system" ? "system" : message.role);
    return role === message.role ? message : { ...message, role };
  });
  out = pairResults(out, needs.ids);
  if (needs.parallel === "apart") out = apart(out);
  out = out.flatMap((message) => assistant(message, needs));
  out = resultsAsText(out, needs);
  if (needs.tools === "system" && tools.length > 0) {
    out = [{ role: "system", content: toolsText(tools) }, ...out];
  }
  if (needs.toolsBeside === "system" && tools.length > 0 && out[0]?.role !== "system") {
    out = [{ role: "system", content: "" }, ...out];
  }
  // What calls leave behind joins with what is around it, so the places of system messages come first.
  out = placeSystems(out, needs);
  if (needs.begins === "user") out = beginWithUser(out);
  if (needs.users === "one" && !out.some(({ role }) => role === "user")) {
    const at = out.findIndex(({ role }) => role !== "system");
    out.splice(at < 0 ? out.length : at, 0, { role: "user", content: "" });
  }
  if (needs.turns === "joined") out = joinTurns(out, needs);
  return needs.behindResult === undefined ? out : answerResults(out, needs.behindResult);
}

/** Each call in a message of its own, with its result behind it. */
function apart(messages: readonly Message[]): Message[] {
  const out: Message[] = [];
  for (let index = 0; index < messages.length; index++) {
    const message = messages[index]!;
    const calls = message.toolCalls ?? [];
    if (calls.length < 2) {
      out.push(message);
      continue;
    }
    let end = index + 1;
    while (messages[end]?.role === "tool") end++;
    const results = Map.groupBy(messages.slice(index + 1, end), ({ toolCallId }) => toolCallId);
    for (const [position, call] of calls.entries()) {
      const said = position === 0 ? message : { role: message.role, content: "" };
      out.push({ ...said, toolCalls: [call] }, ...results.get(call.id) ?? []);
      // A second call of the same id has no results of its own.
      results.delete(call.id);
    }
    for (const others of results.values()) out.push(...others);
    index = end - 1;
  }
  return out;
}

/** Text, thought and calls of one message as the template has places for them. */
function assistant(message: Message, needs: Needs): Message[] {
  const { content, thinking, toolCalls } = message;
  if (message.role !== "assistant" || !toolCalls?.length) return [message];
  if (needs.calls === "text") {
    const { toolCalls: _, ...rest } = message;
    return [{ ...rest, content: joined(content, toolCalls.map(callText).join("\n")) }];
  }
  let own = message;
  if (thinking && content !== "" && needs.thoughts !== "apart") {
    const { thinking: _, ...rest } = message;
    own = needs.thoughts === "dropped"
      ? rest
      : { ...rest, content: "", thinking: joined(thinking, content) };
  }
  if (own.content === "" || needs.mixed === "whole") return [own];
  if (needs.mixed === "thought") {
    return [{ ...own, content: "", thinking: joined(own.thinking ?? "", own.content) }];
  }
  // The thought led to the call.
  return [{ role: own.role, content: own.content }, { ...own, content: "" }];
}

function callText({ name, arguments: values }: Call): string {
  return exactText({ name, arguments: values });
}

/** Results in the role that the template knows, or told in a user's message. */
function resultsAsText(messages: readonly Message[], needs: Needs): Message[] {
  let called = false;
  return messages.map((message) => {
    if (message.role !== "tool") {
      called = (message.toolCalls?.length ?? 0) > 0;
      return message;
    }
    if (needs.results !== "user" && (called || needs.orphans === "own")) {
      return needs.results === "tool" ? message : { ...message, role: needs.results };
    }
    const { toolName, content } = message;
    const of = toolName === undefined ? "" : ` of ${toolName}`;
    return { role: "user", content: `Result${of}:\n${content}` };
  });
}

function toolsText(tools: readonly Tool[]): string {
  const list = tools.map((tool) => exactText({ type: "function", function: tool }));
  return `These functions can be called:\n${
    list.join("\n")
  }\nTo call one, answer with nothing but ` +
    'JSON: {"name": the function\'s name, "arguments": an object}';
}

function placeSystems(messages: readonly Message[], needs: Needs): Message[] {
  if (needs.system === "own" && needs.systems === "any") return [...messages];
  const out: Message[] = [];
  let waiting = "";
  let isLeading = true;
  for (const message of messages) {
    if (message.role !== "system") {
      isLeading = false;
      if (waiting === "") out.push(message);
      else if (message.role === "user") {
        out.push({ ...message, content: joined(waiting, message.content) });
        waiting = "";
      } else if (out.length === 0) {
        // Nobody else may speak before the rules do.
        out.push({ role: "user", content: waiting }, message);
        waiting = "";
      } else out.push(message);
      continue;
    }
    const last = out.at(-1);
    if (needs.system === "own" && isLeading) {
      if (last === undefined || needs.systems === "leading") out.push(message);
      else out[out.length - 1] = { ...last, content: joined(last.content, message.content) };
    } else waiting = joined(waiting, message.content);
  }
  if (waiting !== "") out.push({ role: "user", content: waiting });
  return out;
}

function beginWithUser(messages: Message[]): Message[] {
  const at = messages.findIndex(({ role }) => role !== "system" && role !== "developer");
  if (at < 0 || messages[at]!.role === "user") return messages;
  return messages.toSpliced(at, 0, { role: "user", content: "" });
}

function joinTurns(messages: readonly Message[], needs: Needs): Message[] {
  const out: Message[] = [];
  for (const message of messages) {
    const last = out.at(-1);
    if (last === undefined || !areOne(last, message, needs)) out.push(message);
    else {
      const thinking = joined(last.thinking ?? "", message.thinking ?? "");
      out[out.length - 1] = {
        ...message,
        content: joined(last.content, message.content),
        ...(thinking === "" ? {} : { thinking }),
      };
    }
  }
  return out;
}

function areOne(a: Message, b: Message, needs: Needs): boolean {
  if (a.role !== b.role || a.role === "tool" || a.toolCalls?.length) return false;
  if (a.role === needs.results) return a.role === "user";
  // Calls belong to the text in front of them, where one message may have both.
  return !b.toolCalls?.length || needs.mixed === "whole";
}

function answerResults(messages: readonly Message[], text: string): Message[] {
  return messages.flatMap((message, index) => {
    const before = messages[index - 1]?.role;
    const isBehind = message.role === "user" &&
      (before === "tool" || before === "ipython" || before === "function");
    return isBehind ? [{ role: "assistant", content: text }, message] : [message];
  });
}

function joined(a: string, b: string): string {
  return a === "" ? b : b === "" ? a : a + GAP + b;
}
