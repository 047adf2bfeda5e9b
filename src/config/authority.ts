/** The authority that signed a server's certificate, as an option names its file: `--ca`, `--fleet-ca`. */
import { X509Certificate } from "node:crypto";
import { SecLlamaError } from "../errors.ts";
import { fromPem } from "../pem.ts";

/**
 * The certificates of a file, PEM, as they are. The runtime takes a text without any, and trusts nobody then; it takes none of which
 * one is broken.
 * @param field What names the file: `--ca`. @param hint What helps.
 * @throws {SecLlamaError} `bad-config` if there is none.
 */
export function parseAuthority(text: string, field: string, hint: string): string {
  try {
    new X509Certificate(fromPem("CERTIFICATE", text));
    Deno.createHttpClient({ caCerts: [text] }).close();
    return text;
  } catch (cause) {
    throw new SecLlamaError("bad-config", `the file of ${field} holds no certificate`, {
      field,
      hint,
      cause,
    });
  }
}
