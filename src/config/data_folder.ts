/** The data folder on the disk: made if it is not there, and refused if others can write to it. */
import { SecLlamaError } from "../errors.ts";
import { HINTS, ioReason } from "../hints.ts";

/**
 * Makes the data folder, private to its owner.
 * @throws {SecLlamaError} `bad-config` if it cannot be made, belongs to another user, or is open to others.
 */
export async function ensureDataDirectory(dataDir: string): Promise<void> {
  try {
    await Deno.mkdir(dataDir, { recursive: true, mode: 0o700 });
    const info = await Deno.stat(dataDir);
    if (Deno.build.os !== "windows") {
      if (info.uid !== Deno.uid()) {
        throw new SecLlamaError(
          "bad-config",
          `the data folder ${dataDir} belongs to another user`,
          {
            hint: "set SECLLAMA_DATA_DIR to a folder of your own",
          },
        );
      }
      if ((info.mode ?? 0) & 0o022) {
        throw new SecLlamaError("bad-config", `others may write to the data folder ${dataDir}`, {
          hint: `run: chmod 700 ${dataDir}`,
        });
      }
    }
  } catch (cause) {
    if (cause instanceof SecLlamaError) throw cause;
    throw new SecLlamaError(
      "bad-config",
      `the data folder ${dataDir} cannot be made or read: ${ioReason(cause)}`,
      {
        hint: HINTS.writableData,
        cause,
      },
    );
  }
}
