/** How a machine becomes a host. */
import type { Bytes } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import type { FleetPin } from "../sealed/member.ts";
import { secret, wipe } from "../secret.ts";
import { encodeEnrolment } from "./lines.ts";
import { bundleKeys } from "./record.ts";
import type { FleetState } from "./state.ts";

/**
 * Makes a host of this machine, and the line that the issuer enrols it by.
 * @param o.audit The public key of its audit log, 32 bytes.
 * @throws {SecLlamaError} `key-refused`.
 */
export async function joinFleet(
  state: FleetState,
  { pin, label, hid, audit }: { pin: FleetPin; label: string; hid: Bytes; audit: Bytes },
): Promise<string> {
  return await state.locked(async () => {
    const there = await state.read();
    if (there?.role === "issuer") {
      wipe(there.seed);
      throw new SecLlamaError("key-refused", "this machine is the issuer of a fleet", {
        hint: "run this on the host that is to join",
      });
    }
    using seed = secret(there?.seed ?? crypto.getRandomValues(new Uint8Array(32)));
    await state.write({ role: "host", seed, pin, rev: there?.rev ?? 0, label });
    const { pk } = await bundleKeys(seed);
    // Loaded here: NATS's client would be loaded with every command.
    const { natsIdentity } = await import("./nkey.ts");
    return encodeEnrolment({ label, hid, pk, audit, nats: natsIdentity(seed).user });
  });
}
