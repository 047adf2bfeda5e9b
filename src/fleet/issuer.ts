/** The issuer of a fleet: enrols hosts and takes them out. What each of them gets is publisher.ts's. */
import { type Bytes, concat, fromBase64Url, fromHex, toBase64Url } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import type { ClientSource, KeyFacts, RingSource } from "../keys/mod.ts";
import type { FleetPin } from "../sealed/member.ts";
import { secret, wipe } from "../secret.ts";
import type { Enrolment } from "./lines.ts";
import type { Sign } from "./record.ts";
import type { FleetHost, FleetState, IssuerState } from "./state.ts";

/** RFC 8410: what stands before an Ed25519 seed in PKCS #8. */
const PKCS8 = fromHex("302e020100300506032b657004220420");

/** A wish that a host has not seen for so long, ms, is none any more. */
export const WISH_MS = 86_400_000;
/** Of one host. */
const MAX_WISHES = 16;

/** What the issuer needs of its keys. */
export type IssuerKeys = RingSource & ClientSource & Pick<KeyFacts, "hid">;

/** Makes the fleet's issuer of this machine, or finds that it is one. @throws {SecLlamaError} `key-refused` if it is a host. */
export async function initIssuer(state: FleetState, keys: IssuerKeys): Promise<FleetPin> {
  return await state.locked(async () => {
    const there = await state.read();
    if (there?.role === "host") {
      throw new SecLlamaError("key-refused", "this machine is a host of a fleet", {
        hint: "the issuer is one machine; on it, run: secllama fleet init",
      });
    }
    const seed = there?.seed ?? crypto.getRandomValues(new Uint8Array(32));
    try {
      if (there === undefined) await state.write({ role: "issuer", seed, rev: 0, hosts: [] });
      return { fid: keys.hid, issuer: (await signer(seed)).publicKey };
    } finally {
      wipe(seed);
    }
  });
}

/** The issuer's pin, or undefined where there is no fleet or this is one of its hosts. */
export async function issuerPin(state: FleetState, hid: Bytes): Promise<FleetPin | undefined> {
  const there = await state.read();
  if (there === undefined) return undefined;
  using seed = secret(there.seed);
  return there.role === "issuer" ? { fid: hid, issuer: (await signer(seed)).publicKey } : undefined;
}

/** The hosts, those that were taken out too. @throws {SecLlamaError} `key-refused` if this is no issuer. */
export async function fleetHosts(state: FleetState): Promise<readonly FleetHost[]> {
  const there = await asIssuer(state);
  wipe(there.seed);
  return there.hosts;
}

/** Takes a host in. @throws {SecLlamaError} `key-refused` if its label or id is taken. */
export async function enrolHost(state: FleetState, host: Enrolment): Promise<void> {
  const hid = host.hid.toHex();
  await change(state, (hosts) => {
    const live = hosts.filter((one) => one.removed === null);
    const there = live.find((one) => one.hid === hid);
    if (there !== undefined) throw enrolledAs(there.label, host.label);
    if (live.some((one) => one.label === host.label)) {
      throw new SecLlamaError("key-refused", `another host is in the fleet as ${host.label}`, {
        hint: "to see its hosts, run: secllama fleet hosts; give each a --label of its own",
      });
    }
    const added = new Date().toISOString();
    const { label, nats } = host;
    const keys = { pk: toBase64Url(host.pk), audit: toBase64Url(host.audit) };
    return [...hosts, { label, hid, ...keys, nats, added, removed: null }];
  });
}

/** @param label Of the line that it was to be enrolled by now. */
function enrolledAs(there: string, label: string): SecLlamaError {
  if (there === label) {
    return new SecLlamaError("key-refused", `${label} is in the fleet already`, {
      hint: "nothing is to be done; to see its hosts, run: secllama fleet hosts",
    });
  }
  return new SecLlamaError("key-refused", `this host is in the fleet already, as ${there}`, {
    hint: `it keeps that label; to enrol it as ${label}, take it out first: ` +
      `secllama fleet remove ${there}`,
  });
}

/** Takes a host out: it gets no further file. @throws {SecLlamaError} `not-found`. */
export async function removeHost(state: FleetState, label: string): Promise<void> {
  await change(state, (hosts) => {
    const found = hosts.find((one) => one.removed === null && one.label === label);
    if (found === undefined) throw noHost(label);
    const removed = new Date().toISOString();
    return hosts.map((one) => one === found ? { ...one, removed } : one);
  });
}

/**
 * Asks hosts to pull a model. They find it in what is published for them.
 * @param o.label Undefined: all hosts.
 * @returns Their labels. @throws {SecLlamaError} `not-found`.
 */
export async function wishPull(
  state: FleetState,
  { model, label, at }: { model: string; label: string | undefined; at: number },
): Promise<readonly string[]> {
  let labels: string[] = [];
  await change(state, (hosts) => {
    const asked = (host: FleetHost) =>
      host.removed === null && (label === undefined || host.label === label);
    labels = hosts.filter(asked).map((host) => host.label);
    if (labels.length === 0) throw noHost(label);
    return hosts.map((host) => {
      if (!asked(host)) return host;
      const all = host.pulls ?? [];
      const others = all.filter((wish) => wish.model !== model && wish.at > at - WISH_MS);
      // A host does what is newer than what it has done: also where this clock went back.
      const before = all.find((wish) => wish.model === model)?.at ?? 0;
      const wish = { model, at: Math.max(at, before + 1) };
      return { ...host, pulls: [...others, wish].slice(-MAX_WISHES) };
    });
  });
  return labels;
}

function noHost(label: string | undefined): SecLlamaError {
  const message = label === undefined
    ? "the fleet has no host"
    : `there is no host ${label} in the fleet`;
  return new SecLlamaError("not-found", message, {
    hint: "to see its hosts, run: secllama fleet hosts",
  });
}

async function change(
  state: FleetState,
  to: (hosts: readonly FleetHost[]) => readonly FleetHost[],
): Promise<void> {
  await state.locked(async () => {
    const there = await asIssuer(state);
    using _wiped = secret(there.seed);
    await state.write({ ...there, hosts: to(there.hosts) });
  });
}

/** The issuer's state; the caller wipes its seed. @throws {SecLlamaError} `key-refused` if this is none. */
export async function asIssuer(state: FleetState): Promise<IssuerState> {
  const there = await state.read();
  if (there?.role === "issuer") return there;
  throw new SecLlamaError("key-refused", "this machine is not the issuer of a fleet", {
    hint: "on the machine that has the fleet's keys and clients, run: secllama fleet init",
  });
}

/** Signs by the issuer's seed. */
export async function signer(seed: Uint8Array): Promise<{ sign: Sign; publicKey: Bytes }> {
  using pkcs8 = secret(concat(PKCS8, seed));
  const key = await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", true, ["sign"]);
  const { x } = await crypto.subtle.exportKey("jwk", key);
  return {
    publicKey: fromBase64Url(x!),
    sign: async (message) =>
      new Uint8Array(await crypto.subtle.sign("Ed25519", key, new Uint8Array(message))),
  };
}
