/** `secllama fleet pull`: asks hosts to pull a model. */
import { SecLlamaError } from "../errors.ts";
import { wishPull } from "../fleet/issuer.ts";
import { parseReference } from "../pull/pull.ts";
import { type Command, flag, stringOption } from "./command.ts";
import { withFleet } from "./fleet_common.ts";
import { EXIT_CODES, OPTIONS, report } from "./key_common.ts";

/** The command. */
export const fleetPullCommand: Command = {
  path: ["fleet", "pull"],
  example: "secllama fleet pull registry.example/me/model --all",
  summary: "Ask one host, or all, to pull a model, on the issuer",
  arguments: "MODEL",
  minPositionals: 1,
  maxPositionals: 1,
  options: {
    ...OPTIONS,
    "on": { type: "string", value: "LABEL", help: "the host that is to pull it" },
    all: { type: "boolean", help: "each host of the fleet" },
  },
  details:
    `secllama fleet publish brings the wish to the hosts, sealed and signed like all else. A host pulls only if its own
settings say so (serve --fleet-pulls), from the registries that it lists, and only what it approves.
How far each has come: secllama fleet status. A wish is good for a day. Hosts that serve by files pull nothing:
they could not say what came of it; run secllama pull there.${EXIT_CODES}`,
  async run(context) {
    const model = context.positionals[0]!;
    parseReference(model);
    const label = stringOption(context, "on");
    if ((label !== undefined) === flag(context, "all")) {
      throw new SecLlamaError("usage", "name one host by --on LABEL, or say --all", {
        field: "--on",
        hint: "to see the hosts, run: secllama fleet hosts",
      });
    }
    return await withFleet(context, async (state) => {
      const hosts = await wishPull(state, { model, label, at: Date.now() });
      report(context, { model, hosts }, [`asked ${hosts.join(", ")} to pull ${model}`]);
    });
  },
};
