/**
 * Models that the issuer asks this host to pull. What it may fetch, from where, and whether it may be used, is the host's own to say:
 * without its settings' word nothing is pulled, and the issuer is told so.
 */
import { toSecLlamaError } from "../errors.ts";
import type { FleetMember } from "./host.ts";
import type { PulledFile } from "./pulled_file.ts";
import type { PullState } from "./report.ts";

interface PullsOptions {
  readonly member: Pick<FleetMember, "pulls">;
  /** What was fulfilled before this process, and is not done again. */
  readonly kept: Pick<PulledFile, "doneAt" | "note">;
  /** Undefined: this host takes no pulls from its issuer. */
  readonly pull:
    | ((
      model: string,
      o: { signal: AbortSignal; onLine: (line: object) => void },
    ) => Promise<unknown>)
    | undefined;
}

/** Pulls what is asked, one after the other, each wish once; what failed or was cut off, once more after the next start. */
export class FleetPulls implements Disposable {
  readonly #o: PullsOptions;
  readonly #ended = new AbortController();
  readonly #states = new Map<string, { readonly at: number; state: string }>();
  #working: Promise<void> | undefined;

  constructor(options: PullsOptions) {
    this.#o = options;
  }

  /** Begins what is new. @returns How far each has come that is asked for now. */
  look(): readonly PullState[] {
    const { member, pull, kept } = this.#o;
    for (const { model, at } of member.pulls) {
      if ((this.#states.get(model)?.at ?? 0) >= at) continue;
      const state = kept.doneAt(model) >= at ? "done" : pull === undefined ? "refused" : "waiting";
      this.#states.set(model, { at, state });
    }
    const isWaiting = [...this.#states.values()].some(({ state }) => state === "waiting");
    if (pull !== undefined && isWaiting) {
      this.#working ??= this.#work(pull).finally(() => this.#working = undefined);
    }
    return member.pulls.map(({ model }) => ({ model, state: this.#states.get(model)!.state }));
  }

  [Symbol.dispose](): void {
    this.#ended.abort();
  }

  async #work(pull: NonNullable<PullsOptions["pull"]>): Promise<void> {
    const { signal } = this.#ended;
    for (;;) {
      const next = [...this.#states].find(([, { state }]) => state === "waiting");
      if (next === undefined || signal.aborted) return;
      const [model, row] = next;
      row.state = "pulling";
      const onLine = (line: object) => {
        const { completed, total } = line as { completed?: number; total?: number };
        if (total) row.state = `pulling ${Math.floor((completed ?? 0) / total * 100)} %`;
      };
      try {
        await pull(model, { signal, onLine });
        // It is there, whether that can be noted or not.
        await this.#o.kept.note(model, row.at).catch(() => {});
        row.state = "done";
      } catch (error) {
        row.state = `failed: ${toSecLlamaError(error).code}`;
      }
    }
  }
}
