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
  let open = new OpenCalls([]);
  return messages.map((message) => {
    if (message.toolCalls?.length) {
      const toolCalls = message.toolCalls.map((call) => ({
        ...call,
        id: giver.idFor(call.id, call.name),
      }));
      open = new OpenCalls(message.toolCalls.map((call, index) => ({
        given: call.id,
        id: toolCalls[index]!.id,
        name: call.name,
      })));
      return { ...message, toolCalls };
    }
    if (message.role !== "tool") return message;
    const { toolName, toolCallId } = message;
    const answered = open.take(toolCallId, toolName);
    const name = toolName ?? answered?.name;
    return {
      ...message,
      toolCallId: answered?.id ?? giver.idFor(toolCallId, name ?? "tool"),
      ...(name === undefined ? {} : { toolName: name }),
    };
  });
}

interface OpenCall {
  readonly given: string | undefined;
  readonly id: string;
  readonly name: string;
}

/** Calls that wait for their results; each is found without looking at the others. */
class OpenCalls {
  readonly #all: Queue;
  readonly #byId: Map<string | undefined, Queue>;
  readonly #byName: Map<string, Queue>;
  readonly #answered = new Set<OpenCall>();

  constructor(calls: readonly OpenCall[]) {
    this.#all = new Queue(calls);
    this.#byId = queues(calls, ({ given }) => given);
    this.#byName = queues(calls, ({ name }) => name);
  }

  /** The call that a result answers, which is open no more. */
  take(id: string | undefined, name: string | undefined): OpenCall | undefined {
    const answered = (id === undefined ? undefined : this.#byId.get(id)?.next(this.#answered)) ??
      (name === undefined ? this.#all : this.#byName.get(name))?.next(this.#answered);
    if (answered !== undefined) this.#answered.add(answered);
    return answered;
  }
}

/** In their order. */
class Queue {
  readonly #calls: readonly OpenCall[];
  #at = 0;

  constructor(calls: readonly OpenCall[]) {
    this.#calls = calls;
  }

  /** The first one that is not answered. */
  next(answered: ReadonlySet<OpenCall>): OpenCall | undefined {
    while (this.#at < this.#calls.length && answered.has(this.#calls[this.#at]!)) this.#at++;
    return this.#calls[this.#at];
  }
}

function queues<K>(calls: readonly OpenCall[], key: (call: OpenCall) => K): Map<K, Queue> {
  return new Map([...Map.groupBy(calls, key)].map(([of, some]) => [of, new Queue(some)]));
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
