/**
 * The same program whose places are not shared, for floods_test.ts: whoever comes first has them, until they are gone. It shows
 * that what the test does to the real program is an attack.
 */
import { BUSY_TEXT } from "../../src/api/texts.ts";
import { runCli } from "../../src/cli/main.ts";
import { SecLlamaError } from "../../src/errors.ts";
import { DEFAULT_LIMITS } from "../../src/http/mod.ts";
import { Places } from "../../src/http/parties.ts";
import { QueuePlaces } from "../../src/supervisor/queue_places.ts";

Places.prototype.makeRoom = function () {
  return this.size < DEFAULT_LIMITS.connections;
};

const taken = new WeakMap<QueuePlaces, number>();
/** Slots and queue by default. */
const MOST = 512;
QueuePlaces.prototype.take = function () {
  const count = taken.get(this) ?? 0;
  if (count >= MOST) throw new SecLlamaError("busy", BUSY_TEXT);
  taken.set(this, count + 1);
  let left = false;
  return {
    arrived() {},
    leave: () => {
      if (!left) taken.set(this, taken.get(this)! - 1);
      left = true;
    },
  };
};

Deno.exit(await runCli(Deno.args));
