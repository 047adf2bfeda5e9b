/** The Python that tests run. */

/** The first Python with `cryptography`, or undefined after saying so. */
export async function findPython(): Promise<string | undefined> {
  for (const python of ["python3", "/usr/bin/python3"]) {
    try {
      const args = ["-c", "from cryptography.hazmat.primitives.ciphers.aead import AESGCM"];
      const { success } = await new Deno.Command(python, { args, stderr: "null" }).output();
      if (success) return python;
    } catch {
      // Not installed: the next one.
    }
  }
  console.log(
    "SKIPPED the Python client: no python3 with `cryptography` (Debian: python3-cryptography)",
  );
  return undefined;
}
