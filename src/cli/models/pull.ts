/** `secllama pull`: the one command that fetches from the network, and from hosts that the user listed only. */
import { SecLlamaError } from "../../errors.ts";
import { parseHosts } from "../../config/hosts.ts";
import { pullLine, throttled } from "../../pull/progress.ts";
import { parseReference, pullModel } from "../../pull/pull.ts";
import { SYSTEM_NETWORK } from "../../pull/transport.ts";
import { RECORDING_OPTIONS, recordingAlone } from "../audit/act.ts";
import { recordRefusal } from "./signing.ts";
import { modelFields } from "../audit/fields.ts";
import { type Command, type CommandContext, flag, JSON_OPTION } from "../command.ts";
import { readUpTo } from "../../read_up_to.ts";
import { modelStoreFor } from "../installation.ts";
import { ensureDataDirectory } from "../../config/data_folder.ts";
import type { Settings } from "../../config/settings.ts";
import { readSettings, SETTING_OPTIONS } from "../settings.ts";
import { addHost } from "./allow_host.ts";
import { Progress } from "../progress.ts";
import { humanBytes } from "./print.ts";

export const pullCommand: Command = {
  path: ["pull"],
  example: "secllama pull registry.example/me/model",
  summary: "Fetch a model from a registry that you allowed",
  arguments: "MODEL[@sha256:DIGEST]",
  minPositionals: 1,
  maxPositionals: 1,
  options: {
    ...RECORDING_OPTIONS,
    offline: SETTING_OPTIONS["offline"]!,
    json: { ...JSON_OPTION.json, help: "print progress and result as JSON lines" },
  },
  details:
    `A registry is asked only if it is listed (SECLLAMA_REGISTRIES, or registries = ["HOST"] in config.toml). On a
terminal the first pull from another asks, and notes a yes. What was fetched is kept when a pull ends early: the next one
goes on. Registries learn your address, which model you take, and which of the files that it names are here already,
nothing else. NAME@sha256:… means one manifest and no other. A pull never goes through the gateway, and models cannot pull.`,
  async run(context) {
    const { tui, signal } = context;
    const reference = context.positionals[0]!;
    const { name } = parseReference(reference);
    const settings = await readSettings(context);
    refuseOffline(settings.config.offline);
    await ensureDataDirectory(settings.dataDir);
    const store = await modelStoreFor(context);
    const network = { ...SYSTEM_NETWORK, ...await ownCertificates(settings.config.registryCa) };
    const policy = {
      registries: [...settings.config.registries],
      blobHosts: [...settings.config.registryBlobHosts],
    };
    const json = flag(context, "json");
    const progress = new Progress(tui);
    const onEvent = throttled((event) => {
      if (json) tui.jsonLine(pullLine(event));
      else if (event.status !== "pulling") progress.say(event.status);
      else progress.to(event.digest.slice(7, 19), event.doneBytes, event.totalBytes);
    });
    for (;;) {
      try {
        const pulled = await recordingAlone(context, async (record) => {
          const pulled = await pullModel(store, reference, {
            policy,
            network,
            maxBytes: settings.config.maxModelBytes,
            signal,
            onEvent,
          }).catch((error) => recordRefusal(error, context.positionals[0]!, record));
          await record("model-pulled", modelFields(pulled.model));
          return pulled;
        });
        progress.end();
        const { model, unchanged } = pulled;
        const manifest = `sha256:${model.manifestDigest}`;
        if (json) {
          const { name, digest, sizeBytes: size } = model;
          tui.jsonLine({ status: "success", name, digest, manifestDigest: manifest, size });
        } else {
          const what = unchanged ? "up to date" : "pulled";
          tui.out(`${what} ${model.name}@${manifest} ${humanBytes(model.sizeBytes)}`);
        }
        return 0;
      } catch (error) {
        progress.end();
        if (signal.aborted) {
          tui.note("what was fetched is kept; the same command goes on from there");
        }
        const host = json ? undefined : await askForHost(context, settings, name.host, error);
        if (!host) throw error;
        policy[host.list].push(...parseHosts(host.name)!);
      }
    }
  },
};

/** @throws {SecLlamaError} `offline`. */
export function refuseOffline(offline: boolean): void {
  if (!offline) return;
  throw new SecLlamaError("offline", "nothing is fetched: offline is on", {
    hint:
      "without --offline and SECLLAMA_OFFLINE=true, pull fetches from the registries you allowed",
  });
}

/** All authorities of a system are some hundred KiB. */
const MAX_PEM_BYTES = 4 << 20;

/** Certificates of the user's own, if the settings name a file of them. */
export async function ownCertificates(path: string): Promise<{ caCerts?: string[] }> {
  if (path === "") return {};
  try {
    const bytes = await readUpTo(path, MAX_PEM_BYTES);
    if (bytes.length > MAX_PEM_BYTES) throw new Error("too long");
    return { caCerts: [new TextDecoder().decode(bytes)] };
  } catch (cause) {
    throw new SecLlamaError("bad-config", "cannot read the file that SECLLAMA_REGISTRY_CA names", {
      field: "SECLLAMA_REGISTRY_CA",
      hint: "name the PEM file of the registry's authority, or unset it",
      cause,
    });
  }
}

/** Asks whether a host that is not listed may be spoken to, and notes a yes. Undefined: not asked, or no. */
async function askForHost(
  context: CommandContext,
  settings: Settings,
  registry: string,
  error: unknown,
): Promise<{ name: string; list: "registries" | "blobHosts" } | undefined> {
  if (!(error instanceof SecLlamaError) || error.code !== "registry-not-allowed") return undefined;
  const isRegistry = error.field === "registries";
  const name = isRegistry ? registry.toLowerCase() : error.field;
  if (name === undefined || parseHosts(name)?.length !== 1) return undefined;
  const { tui } = context;
  const question = isRegistry
    ? `Pull from ${name}? It learns your address and the model's name. [y/N]`
    : `${registry} keeps the files at ${name}. Fetch from there? [y/N]`;
  const answer = await tui.ask(question);
  if (answer === undefined || !/^y(es)?$/i.test(answer.trim())) return undefined;
  const list = isRegistry ? "registries" : "blobHosts";
  await addHost(context.env, settings.configFile, { list, name });
  tui.note(`noted in ${settings.configFile}`);
  return { name, list };
}
