/** Ids of calls, and which result answers which call. */
import type { Needs } from "./needs.ts";
import type { Message } from "./types.ts";

const NINE = /^[A-Za-z0-9]{9}$/;
const DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz";

/**
 * Gives every call an id of the form that the template needs, and every result the id and the tool's name of the call that it
 * answers: by its id where it has one, else the first one of that name that is not answered, else the first one. An id becomes
 * the same one whatever follows, so that the beginning of a prompt stays as it was.
 */
export function pairResults(messages: readonly Message[], ids: Needs["ids"]): Message[] {
  const giver = new IdGiver(ids);
  let open: { given: string | undefined; id: string; name: string }[] = [];
  return messages.map((message) => {
    if (message.toolCalls?.length) {
      const toolCalls = message.toolCalls.map((call) => ({
        ...call,
        id: giver.idFor(call.id, call.name),
      }));
      open = message.toolCalls.map((call, index) => ({
        given: call.id,
        id: toolCalls[index]!.id,
        name: call.name,
      }));
      return { ...message, toolCalls };
    }
    if (message.role !== "tool") return message;
    const { toolName, toolCallId } = message;
    let at = toolCallId === undefined ? -1 : open.findIndex((one) => one.given === toolCallId);
    if (at < 0 && toolName !== undefined) at = open.findIndex((one) => one.name === toolName);
    if (at < 0 && toolName === undefined) at = open.length > 0 ? 0 : -1;
    const [answered] = at < 0 ? [] : open.splice(at, 1);
    const name = toolName ?? answered?.name;
    return {
      ...message,
      toolCallId: answered?.id ?? giver.idFor(toolCallId, name ?? "tool"),
      ...(name === undefined ? {} : { toolName: name }),
    };
  });
}

class IdGiver {
  readonly #form: Needs["ids"];
  /** As the client wrote it → as the template sees it. */
  readonly #known = new Map<string, string>();
  readonly #taken = new Set<string>();
  #count = 0;

  constructor(form: Needs["ids"]) {
    this.#form = form;
  }

  idFor(given: string | undefined, name: string): string {
    const key = given ?? `absent ${this.#count}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const id = this.#make(given, name, key);
    this.#known.set(key, id);
    this.#taken.add(id);
    this.#count++;
    return id;
  }

  #make(given: string | undefined, name: string, key: string): string {
    switch (this.#form) {
      case "own":
        return given ?? `call_${String(this.#count).padStart(9, "0")}`;
      case "numbered":
        return /^functions\..+:\d+$/.test(given ?? "")
          ? given!
          : `functions.${name}:${this.#count}`;
      case "nine": {
        if (given !== undefined && NINE.test(given) && !this.#taken.has(given)) return given;
        for (let round = 0;; round++) {
          const id = nineOf(round === 0 ? key : `${key} ${round}`);
          if (!this.#taken.has(id)) return id;
        }
      }
    }
  }
}

/** Nine letters and digits that are the same for the same text. */
function nineOf(text: string): string {
  // FNV-1a, 64 bits.
  let hash = 0xcbf29ce484222325n;
  for (let at = 0; at < text.length; at++) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(text.charCodeAt(at))) * 0x100000001b3n);
  }
  let id = "";
  for (let at = 0; at < 9; at++) {
    id += DIGITS[Number(hash % 36n)];
    hash /= 36n;
  }
  return id;
}
