/** Every channel that is tried, in the order in which reports show it. */
import type { Channel } from "./channel.ts";
import { COUNT_CHANNELS } from "./counts.ts";
import { FILE_CHANNELS } from "./files.ts";

export const CHANNELS: readonly Channel[] = [...FILE_CHANNELS, ...COUNT_CHANNELS];

/** Whom a runner is to reach, or to be reached by. */
export type Party = "another runner" | "an ordinary process";
export const PARTIES: readonly Party[] = ["another runner", "an ordinary process"];

/** A row of the attack list. */
export function channelAttack(channel: Channel, party: Party): string {
  return `${channel.name}, ${party}`;
}

/** The rows of the attack list that are channels. */
export const CHANNEL_ATTACKS: readonly string[] = CHANNELS.flatMap((channel) =>
  PARTIES.map((party) => channelAttack(channel, party))
);
