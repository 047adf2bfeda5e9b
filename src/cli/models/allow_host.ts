/** Notes in the config file that a host may be pulled from. */
import { dirname, join } from "node:path";
import { addToList } from "../../config/edit.ts";
import { SecLlamaError } from "../../errors.ts";
import type { CommandContext } from "../command.ts";

const SETTINGS = {
  registries: { key: "registries", env: "SECLLAMA_REGISTRIES" },
  blobHosts: { key: "registry_blob_hosts", env: "SECLLAMA_REGISTRY_BLOB_HOSTS" },
} as const;

/**
 * Adds the host to a list of the config file, which is made if it is not there, and replaced whole.
 * @throws {SecLlamaError} `bad-config` if the environment sets the list, or the file cannot be changed.
 */
export async function addHost(
  env: CommandContext["env"],
  path: string,
  host: { list: keyof typeof SETTINGS; name: string },
): Promise<void> {
  const setting = SETTINGS[host.list];
  if (env[setting.env] !== undefined) {
    throw new SecLlamaError("bad-config", `${setting.env} is set, so the answer cannot be noted`, {
      field: setting.env,
      hint: `add ${host.name} to ${setting.env}`,
    });
  }
  const temp = join(dirname(path), `.config-${crypto.randomUUID()}`);
  try {
    const text = await Deno.readTextFile(path).catch((error) => {
      if (error instanceof Deno.errors.NotFound) return "";
      throw error;
    });
    await Deno.writeTextFile(temp, addToList(text, setting.key, host.name), {
      createNew: true,
      mode: 0o600,
    });
    await Deno.rename(temp, path);
  } catch (cause) {
    await Deno.remove(temp).catch(() => {});
    if (cause instanceof SecLlamaError) throw cause;
    throw new SecLlamaError("bad-config", `the config file ${path} cannot be written`, { cause });
  }
}
