/** An authority in a folder, and OpenSSL, for tests of certificates. */
import { ManifestFile, openKeySource } from "../keys/mod.ts";
import { MemoryStore } from "../keys/stores/testing_memory.ts";
import { GatewayAuthority } from "./authority.ts";

/** The authority of a data folder under the keys of a store in memory. @param now Its clock. */
export async function authorityAt(folder: string, store = new MemoryStore(), now?: () => Date) {
  const keys = await openKeySource({
    dataDir: folder,
    env: {},
    interactive: false,
    store,
    autoInit: true,
  });
  return new GatewayAuthority(new ManifestFile(folder), keys.storage(), now);
}

/** What openssl(1) says on either output, and its exit code. @param stdin What it reads. */
export async function openssl(args: string[], stdin = ""): Promise<{ code: number; text: string }> {
  const child = new Deno.Command("/usr/bin/openssl", {
    args,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(stdin)).catch(() => {});
  await writer.close().catch(() => {});
  const { code, stdout, stderr } = await child.output();
  return { code, text: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
}
