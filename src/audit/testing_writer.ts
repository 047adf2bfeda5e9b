/**
 * A process of its own that writes lines until it is killed, or cannot: `testing_writer.ts FOLDER KEY COUNT`. It prints the number of each
 * line once it is told that the line is there, and at the end the error's code.
 */
import { openKeySource } from "../keys/mod.ts";
import { toSecLlamaError } from "../errors.ts";
import { AuditLog } from "./log.ts";
import { exchange } from "./testing.ts";

if (import.meta.main) {
  const [folder, key, count] = Deno.args;
  const say = (text: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
  try {
    using keys = await openKeySource({
      dataDir: folder!,
      env: { SECLLAMA_KEY: key! },
      interactive: false,
    });
    const stateDir = `${folder}/state`;
    const log = await AuditLog.open({ dataDir: folder!, keys, hid: keys.hid, stateDir });
    for (let i = 0; i < Number(count); i++) {
      say(String(await log.record(exchange(i))));
      if (i % 9 === 8) await log.sign();
    }
    await log.close();
    say("done");
  } catch (error) {
    say(`error ${toSecLlamaError(error).code}`);
  }
}
