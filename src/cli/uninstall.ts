/** `secllama uninstall`: takes away what SecLlama keeps on this machine, and says what it leaves. */
import { join } from "node:path";
import { elsewhere, isOurs, places, profiles } from "../app/places.ts";
import { askLocalProxy } from "../app/local_proxy.ts";
import { ROUTES } from "../api/routes.ts";
import { ownFolder } from "../config/folder_lock.ts";
import { baseDirectory, dataDirectory } from "../config/paths.ts";
import { EXIT, SecLlamaError } from "../errors.ts";
import { destroyAll, mayUseStore } from "../keys/keyset/destroy_all.ts";
import { systemStore } from "../keys/stores/backend.ts";
import type { KeyStore } from "../keys/stores/store.ts";
import { type Command, type CommandContext, flag } from "./command.ts";
import { confirm } from "./confirm.ts";
import { plural } from "../plural.ts";

export const uninstallCommand: Command = {
  path: ["uninstall"],
  summary: "Remove keys, clients, settings and cache from this machine",
  options: {
    yes: { type: "boolean", help: "do not ask" },
    models: { type: "boolean", help: "remove the models too" },
    "dry-run": { type: "boolean", help: "only show what would be removed" },
  },
  details:
    `Removes the keys of all profiles from the key store, the data folder and the cache. Keeps the models unless --models is
given, key files that --key-file named, an Ollama folder, and the program itself. Whatever was sealed under the keys is lost.`,
  async run(context) {
    const { tui, env } = context;
    const base = baseDirectory(env);
    await refuseWhileServing(context);
    const stores = await keysToRemove(context);
    const folders = await foldersToRemove(context);
    const items = stores.reduce((sum, { count }) => sum + count, 0);
    if (items === 0 && folders.length === 0) {
      tui.out("there is nothing to remove");
      await tellElsewhere(context);
      return EXIT.ok;
    }
    tui.note("This removes for good:");
    for (const { profile, count } of stores) {
      if (count > 0) tui.note(`  ${plural(count, "item")} of profile ${profile} in the key store`);
    }
    for (const folder of folders) tui.note(`  ${folder}`);
    if (flag(context, "dry-run")) return EXIT.ok;
    using _alone = await ownFolders(context);
    if (!flag(context, "yes")) {
      const unasked = "secllama uninstall --yes";
      await confirm(context, { word: "yes", kept: "nothing was removed", unasked });
    }
    // Keys first: if the store refuses, the list that names them is still there.
    for (const { profile, store, count } of stores) {
      const env = { ...context.env, SECLLAMA_PROFILE: profile };
      if (count > 0) await destroyAll(store, dataDirectory(env));
    }
    // Once more: what keeps others out of the folder is a file in it, and may be new.
    for (const folder of await foldersToRemove(context)) {
      await Deno.remove(folder, { recursive: true }).catch((error) => {
        if (!(error instanceof Deno.errors.NotFound)) throw error; // the keyset is gone already
      });
    }
    // Empty by now, unless the models stay.
    await Deno.remove(base).catch(() => {});
    tui.out("removed");
    for (const { name, where, there } of await places(env)) {
      if (there && name !== "keys") tui.note(`still there: ${where}`);
    }
    await tellElsewhere(context);
    tui.note("Machines that were paired with this one forget it by: secllama proxy --unpair NAME");
    return EXIT.ok;
  },
};

async function tellElsewhere({ tui, env }: CommandContext): Promise<void> {
  for (const { where, how } of await elsewhere(env)) {
    tui.note(`still there: ${where}  (to take it away: ${how})`);
  }
}

/** @throws {SecLlamaError} `key-refused` while a proxy of this data folder answers. */
async function refuseWhileServing({ env, signal }: CommandContext): Promise<void> {
  for (const profile of await profiles(env)) {
    const dataDir = dataDirectory({ ...env, SECLLAMA_PROFILE: profile });
    for (const port of announcedPorts(dataDir)) {
      const proxy = { hostname: "127.0.0.1", port, dataDir };
      const ask = { method: "GET", path: ROUTES.version.path, signal } as const;
      const answered = await askLocalProxy(proxy, ask).then(async (answer) => {
        await answer.body?.cancel();
        return true;
      }, () => false);
      if (!answered) continue;
      throw new SecLlamaError("key-refused", `a serve or proxy still runs, on port ${port}`, {
        hint: "end it, and run the command again; nothing was removed",
      });
    }
  }
}

/**
 * Has the data folder of every profile to itself, until it is disposed.
 * @throws {SecLlamaError} `key-lock-busy` while a serve or proxy of one runs, whatever it listens on; `bad-config`.
 */
async function ownFolders({ env }: CommandContext): Promise<Disposable> {
  using held = new DisposableStack();
  for (const profile of await profiles(env)) {
    const dataDir = dataDirectory({ ...env, SECLLAMA_PROFILE: profile });
    if (await Deno.lstat(dataDir).then(() => true, () => false)) {
      held.use(await ownFolder(dataDir));
    }
  }
  return held.move();
}

function announcedPorts(dataDir: string): number[] {
  try {
    return [...Deno.readDirSync(dataDir)].flatMap(({ name }) => {
      const [, port] = /^proxy-(\d{1,5})\.json$/.exec(name) ?? [];
      return port === undefined ? [] : [Number(port)];
    });
  } catch {
    return [];
  }
}

interface Doomed {
  readonly profile: string;
  readonly store: KeyStore;
  readonly count: number;
}

/**
 * What the key store has of each profile. Where it cannot be reached there is nothing to remove, unless a keyset says otherwise.
 * @throws {SecLlamaError} `key-locked`, `key-store-unavailable`: keys that stay behind unnamed would be worse.
 */
async function keysToRemove({ env, tui }: CommandContext): Promise<Doomed[]> {
  const doomed: Doomed[] = [];
  for (const profile of await profiles(env)) {
    const interactive = tui.isTerminal && Deno.stdin.isTerminal();
    const store = systemStore({ env, interactive }, profile);
    const folder = dataDirectory({ ...env, SECLLAMA_PROFILE: profile });
    if (!await mayUseStore(store, folder)) continue;
    doomed.push({ profile, store, count: (await store.list()).length });
  }
  return doomed;
}

async function foldersToRemove(context: CommandContext): Promise<string[]> {
  const { env } = context;
  const base = baseDirectory(env);
  const found: string[] = [];
  try {
    for await (const { name } of Deno.readDir(base)) {
      // Whoever set SECLLAMA_DATA_DIR may have files of their own beside ours.
      if (isOurs(name) || (name === "models" && flag(context, "models"))) {
        found.push(join(base, name));
      }
    }
  } catch { /* it was never made */ }
  const made = (await places(env)).filter(({ name, there }) =>
    there && (name === "cache" || name === "state")
  );
  return [...found.sort(), ...made.map(({ where }) => where)];
}
