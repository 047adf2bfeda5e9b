/** `secllama paths`. */
import { places } from "../app/places.ts";
import { EXIT } from "../errors.ts";
import { type Command, flag, JSON_OPTION } from "./command.ts";

export const pathsCommand: Command = {
  path: ["paths"],
  summary: "Show where everything lies: data, settings, models, cache, keys",
  options: JSON_OPTION,
  async run(context) {
    const { tui } = context;
    const rows = await places(context.env);
    if (flag(context, "json")) {
      tui.json({ schema: 1, places: rows });
      return EXIT.ok;
    }
    for (const { name, where, there, what } of rows) {
      tui.out(`${tui.bold(name.padEnd(9))}${where}${there ? "" : "  (nothing there)"}`);
      tui.out(tui.dim(`         ${what}`));
    }
    return EXIT.ok;
  },
};
