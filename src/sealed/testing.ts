/** Shared by the tests of this folder: a runner, a client and the pieces of their messages. Not part of the product. */
import assert from "node:assert/strict";
import { type Bytes, utf8 } from "../bytes.ts";
import { type ErrorCode, SecLlamaError } from "../errors.ts";
import { FakeHost } from "./fake_host.ts";
import { FRAME_HEADER_BYTES } from "./frames.ts";
import { parseRequestHeader } from "./header.ts";
import { randomBytes } from "./primitives.ts";
import { type OpenedRequest, Recipient, type RecipientOptions } from "./recipient.ts";
import { type SealOptions, sealRequest, type VerifiedKey, verifyKeyDocument } from "./sender.ts";
import { COMMIT_BYTES, suiteById } from "./suite.ts";

export const PSK_ID = "local.0123456789abcdef";
export const OTHER_PSK_ID = "client.0123456789abcdef.00112233445566778899aabbccddeeff";
export const MODEL = "demo:latest";

interface World {
  host: FakeHost;
  psk: Bytes;
  otherPsk: Bytes;
  /** Unix ms of the runner's clock; set it to move time. */
  clock: { now: number };
  recipient: Recipient;
  key: VerifiedKey;
}

/** A recipient that knows two clients, and a key document of it, verified by the first. */
export async function makeWorld(options: Partial<RecipientOptions> = {}): Promise<World> {
  const psk = randomBytes(32);
  const otherPsk = randomBytes(32);
  const clock = { now: 1_750_000_000_000 };
  const psks = new Map([[PSK_ID, psk], [OTHER_PSK_ID, otherPsk]]);
  const host = new FakeHost((id) => psks.get(id));
  const recipient = await Recipient.init({
    model: MODEL,
    ...host.recipient,
    now: () => clock.now,
    ...options,
  });
  const world = { host, psk, otherPsk, clock, recipient };
  const key = await verifiedKey(world, clock.now, options.suites?.[0] ?? 1);
  return { ...world, key };
}

/** Fetches and verifies a key document as a client would. */
export async function verifiedKey(
  { host, recipient, psk }: Pick<World, "host" | "recipient" | "psk">,
  now: number,
  suite = 1,
): Promise<VerifiedKey> {
  const challenge = randomBytes(16);
  const asked = { pskId: PSK_ID, challenge, model: MODEL, suite };
  const document = await host.document(recipient, asked);
  return await verifyKeyDocument(JSON.parse(JSON.stringify(document)), {
    psk,
    hid: host.hid,
    model: MODEL,
    challenge,
    sentAt: now,
    receivedAt: now,
    suite,
  });
}

export const BODY = utf8(JSON.stringify({ model: "demo", prompt: "What is network isolation?" }));

/** A sealed request of the world's client; `change` overrides what it says. */
export function seal(
  world: Pick<World, "key" | "clock">,
  { runnerPsk = world.key.runnerPsk, ...change }: Partial<SealOptions> & { runnerPsk?: Bytes } = {},
) {
  return sealRequest({ ...world.key, runnerPsk }, {
    pskId: PSK_ID,
    method: "POST",
    path: "/api/generate",
    headers: { "content-type": "application/json" },
    body: BODY,
    now: world.clock.now,
    ...change,
  });
}

/** `bytes` in chunks of `size`, as a network would deliver them. */
export async function* chunks(bytes: Uint8Array, size = bytes.length): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

export function open(recipient: Recipient, bytes: Uint8Array): Promise<OpenedRequest> {
  return recipient.open(chunks(bytes));
}

/** Asserts that `promise` rejects with a SecLlamaError of one of the codes, and returns it. */
export async function refused(
  promise: Promise<unknown>,
  ...codes: ErrorCode[]
): Promise<SecLlamaError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof SecLlamaError, `not a SecLlamaError: ${error}`);
    assert.ok(codes.includes(error.code), `code ${error.code}, wanted ${codes.join(" or ")}`);
    return error;
  }
  assert.fail(`passed, but should have failed with ${codes.join(" or ")}`);
}

/** A sealed request taken apart. */
export function dissect(body: Uint8Array): { prefix: Uint8Array; frames: Uint8Array[] } {
  const header = parseRequestHeader(body);
  assert.ok(header !== "need-more");
  const start = header.length + suiteById(header.suite).encBytes + COMMIT_BYTES;
  return { prefix: body.subarray(0, start), frames: splitFrames(body.subarray(start)) };
}

/** Frames laid end to end, apart. */
export function splitFrames(bytes: Uint8Array): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
    const end = at + FRAME_HEADER_BYTES + length;
    assert.ok(end <= bytes.length, "frame runs past the end");
    frames.push(bytes.subarray(at, end));
    at = end;
  }
  return frames;
}
