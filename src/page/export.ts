/// <reference lib="dom" />
/** A conversation as a text that other programs read. */
import { pathOf } from "./tree.ts";
import type { Conversation } from "./types.ts";

/** What is shown of it, as Markdown. */
export function markdownOf(conversation: Conversation): string {
  const parts = pathOf(conversation).map(({ role, content, model, attachments }) => {
    const with_ = (attachments ?? []).map(({ name, where }) =>
      `> with ${name}${where ? `, ${where}` : ""}\n`
    );
    return `## ${role === "user" ? "You" : model ?? "Model"}\n\n${
      with_.join("")
    }${content.trim()}\n`;
  });
  return `# ${conversation.title}\n\n${parts.join("\n")}`;
}

/** All of it, with every branch, as `secllama history import` and the page read it back. */
export function jsonOf(conversation: Conversation): string {
  const { title, created, updated, model, pinned, folder, settings, messages } = conversation;
  const one = {
    ...{ title, created, updated, model, pinned, folder, settings },
    messages: messages.map(({ toolCalls, error: _, ...message }) => ({
      ...message,
      ...(toolCalls ? { tool_calls: toolCalls } : {}),
    })),
  };
  return JSON.stringify(
    { format: "secllama-history", version: 1, conversations: [one] },
    null,
    2,
  );
}

/** Offers a file: it is made here, and goes to wherever this browser puts downloads. */
export function download(name: string, type: string, content: string | Blob): void {
  const address = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** A title as a file's name. */
export function fileNameOf(title: string, ending: string): string {
  const name = title.replace(/[^\p{L}\p{N} ._-]/gu, "").trim().slice(0, 60) || "conversation";
  return `${name}.${ending}`;
}
