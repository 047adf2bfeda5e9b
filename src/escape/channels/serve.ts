/** One side of every channel, at the word of the host: it says line by line what to do, and is told what came of it. */
import type { Linux } from "../../linux/libc.ts";
import { type Done, NOTHING, openPlace, type Place, type Seen, type Side } from "./channel.ts";
import { CHANNELS } from "./list.ts";

/** Host → side. JSON. */
export interface Turn {
  readonly channel: string;
  readonly act: "rest" | "arm" | "send" | "receive";
  readonly index: number;
  readonly peer: number;
  /** Of `send`. */
  readonly bit?: boolean;
}

/** Opens what a model's loader could have opened, before the lockdown; then takes turns. */
export function openSide(
  linux: Linux,
  place: Place,
): (turn: Turn) => Done | Seen | Promise<Done | Seen> {
  const opened = openPlace(linux, place);
  const memories = new Map<string, Side["memory"]>();
  return ({ channel: name, act, index, peer, bit }) => {
    const channel = CHANNELS.find((c) => c.name === name);
    if (!channel) throw new TypeError(`no channel is called ${name}`);
    const memory = memories.get(name) ?? {};
    memories.set(name, memory);
    const side = { linux, file: place.file, ...opened, peer, index, memory };
    switch (act) {
      case "rest":
        return channel.send(side, false);
      case "arm":
        return channel.arm?.(side) ?? NOTHING;
      case "send":
        return channel.send(side, bit === true);
      case "receive":
        return channel.receive(side);
    }
  };
}
