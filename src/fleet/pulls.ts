/**
 * Models that the issuer asks this host to pull. What it may fetch, from where, and whether it may be used, is the host's own to say:
 * without its settings' word nothing is pulled, and the issuer is told so.
 */
import { toSecLlamaError } from "../errors.ts";
import type { FleetMember } from "./host.ts";
import type { PullState } from "./report.ts";

interface PullsOptions {
  readonly member: Pick<FleetMember, "pulls">;
  /** Undefined: this host takes no pulls from its issuer. */
  readonly pull:
    | ((
      model: string,
      o: { signal: AbortSignal; onLine: (line: object) => void },
    ) => Promise<unknown>)
    | undefined;
}

/** Pulls what is asked, one after the other, each wish once. */
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
    const { member, pull } = this.#o;
    for (const { model, at } of member.pulls) {
      if ((this.#states.get(model)?.at ?? 0) >= at) continue;
      this.#states.set(model, { at, state: pull === undefined ? "refused" : "waiting" });
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
        row.state = "done";
      } catch (error) {
        row.state = `failed: ${toSecLlamaError(error).code}`;
      }
    }
  }
}
