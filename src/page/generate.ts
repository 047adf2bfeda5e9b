/** One answer: what is asked of the model, and what it becomes. */
import { type Progress, statsOf } from "../api/reply_lines.ts";
import type { Conversation, Message } from "./types.ts";

/** A message as `/api/chat` takes it. */
interface Sent {
  readonly role: string;
  readonly content: string;
  readonly images?: readonly string[];
}

/** Stands for each picture where the model sees none: it would refuse the whole conversation. */
const UNSEEN = "[a picture that you cannot see]";

/** Whether what is asked has pictures that the model does not see. Where nothing is known of it, it may. */
export function leavesPicturesOut(
  path: readonly Message[],
  capabilities: readonly string[],
): boolean {
  return lacks(capabilities, "vision") && path.some(({ images }) => images?.length);
}

function lacks(capabilities: readonly string[], one: string): boolean {
  return capabilities.length > 0 && !capabilities.includes(one);
}

/**
 * The request for an answer to the last message of `path`.
 * @param capabilities Of the model: another one may have been asked before, with what this one does not take.
 */
export function requestOf(
  { settings }: Pick<Conversation, "settings">,
  path: readonly Message[],
  model: string,
  capabilities: readonly string[] = [],
): Record<string, unknown> {
  const blind = leavesPicturesOut(path, capabilities);
  const messages: Sent[] = path.filter(({ error, damaged }) => !error && !damaged).map(
    (message) => {
      const { role, images } = message;
      const content = contentOf(message);
      if (!images?.length) return { role, content };
      if (!blind) return { role, content, images };
      return { role, content: [...images.map(() => UNSEEN), content].join("\n\n") };
    },
  );
  return {
    model,
    messages: settings.system
      ? [{ role: "system", content: settings.system }, ...messages]
      : messages,
    ...(settings.options && Object.keys(settings.options).length > 0
      ? { options: settings.options }
      : {}),
    ...(settings.think === undefined || lacks(capabilities, "thinking")
      ? {}
      : { think: settings.think }),
  };
}

/** A message with the texts that were put to it, each under its name. */
function contentOf({ content, attachments }: Message): string {
  if (!attachments?.length) return content;
  const texts = attachments.map(({ name, where, text }, at) => {
    const title = where ? `${name}, ${where}` : name;
    return `[${at + 1}] ${title}\n${text}\n[end of ${at + 1}]`;
  });
  const rule = attachments.some(({ where }) => where)
    ? [
      "Answer from these passages alone, and name them as [1], [2]. If they do not say it, say so.",
    ]
    : [];
  return [...rule, ...texts, content].join("\n\n");
}

/** The message that an answer becomes, `ms` after the question. */
export function answerOf(progress: Progress, ms: number): Partial<Message> {
  const { content, thinking, toolCalls, error } = progress;
  return {
    content,
    ...(thinking ? { thinking } : {}),
    ...(toolCalls.length > 0 ? { toolCalls } : {}),
    ...(error ? { error } : {}),
    stats: statsOf(progress, ms),
  };
}
