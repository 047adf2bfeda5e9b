/** What a client of the machine itself needs, worked out by a test that knows the key `serve` was given. */
import { join } from "node:path";
import { type Bytes, fromHex } from "../../src/bytes.ts";
import { kidOf } from "../../src/keys/keyset/kid.ts";
import { deriveLocalPsk, deriveTransport, localPskId } from "../../src/sealed/psk.ts";

export interface LocalCredentials {
  readonly pskId: string;
  readonly psk: Bytes;
  readonly hid: Bytes;
}

/** @param home The served process's home; its data folder is where it is without a setting. */
export async function localCredentials(home: string, key: Bytes): Promise<LocalCredentials> {
  const text = await Deno.readTextFile(join(home, ".local/share/secllama/host.json"));
  return {
    pskId: localPskId(await kidOf(key)),
    psk: deriveLocalPsk(deriveTransport(key)),
    hid: fromHex(JSON.parse(text).hid),
  };
}
