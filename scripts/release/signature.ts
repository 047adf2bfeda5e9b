/**
 * Signatures by the program minisign. It asks for the secret key's password itself, on the terminal: neither key nor
 * password passes through here.
 */

export interface Signer {
  /** minisign's secret key file. */
  readonly keyFile: string;
  /** The second line of the public key's file. */
  readonly publicKey: string;
}

/** Writes `FILE.minisig`, and reads it back. @throws {Error} If either fails. */
export async function sign(file: string, signer: Signer, comment: string): Promise<void> {
  const { keyFile, publicKey } = signer;
  await minisign(["-S", "-s", keyFile, "-t", comment, "-m", file], "inherit");
  await minisign(["-V", "-q", "-P", publicKey, "-m", file], "null");
}

async function minisign(args: string[], stdin: "inherit" | "null"): Promise<void> {
  const child = await new Deno.Command("minisign", { args, stdin }).spawn().status.catch(
    (error) => {
      if (error instanceof Deno.errors.NotFound) {
        throw new Error("minisign is not installed; on Debian: apt-get install minisign");
      }
      throw error;
    },
  );
  if (!child.success) throw new Error(`minisign ${args[0]} failed`);
}

/** The key in a public key file, which has a comment above it. @throws {Error} If it is none. */
export async function readPublicKey(file: string): Promise<string> {
  const [, key] = (await Deno.readTextFile(file)).split("\n");
  if (!/^RW[A-Za-z0-9+/]{54}$/.test(key ?? "")) {
    throw new Error(`${file} is no minisign public key`);
  }
  return key!;
}
