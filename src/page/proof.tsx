/// <reference lib="dom" />
/** Who sees what, and what was measured just now: the gateway's own report, read again at each click. */
import { ROUTES } from "../api/routes.ts";
import { useEffect, useState } from "preact/hooks";
import type { Actions } from "./actions.ts";
import { ApiError, ask } from "./api.ts";
import { Doctor } from "./doctor.tsx";
import { Dialog } from "./link_dialog.tsx";
import { Visible } from "./markdown.tsx";
import { Plot } from "./plot.tsx";
import type { Message } from "./types.ts";
import { plural } from "../plural.ts";

/** Of `/api/security/status`, what is shown. */
interface Status {
  readonly version: string;
  readonly encryption: { readonly enabled: boolean; readonly format: string };
  readonly isolation: {
    readonly level: string;
    readonly sandbox: boolean;
    readonly strict: boolean;
  };
  readonly key: {
    readonly kid: string;
    readonly backend: string;
    readonly created_ms: number | null;
    readonly warnings: readonly string[] | null;
  };
  readonly process: { readonly started_ms: number };
  readonly runners: readonly {
    readonly model: string;
    readonly pid: number;
    readonly level: string;
    readonly layers: readonly {
      readonly layer: string;
      readonly state: string;
      readonly observed: string;
      readonly word?: string;
    }[];
    readonly problems: readonly string[];
    readonly attacks: null | {
      readonly held: boolean;
      readonly attempted: number;
      readonly problems: readonly string[];
    };
  }[];
}

export function ProofPanel({ actions, onEnd }: { actions: Actions; onEnd: () => void }) {
  const [status, setStatus] = useState<Status | ApiError>();
  const [at, setAt] = useState(0);
  const measure = async () => {
    try {
      setStatus(await ask<Status>(ROUTES.securityStatus.path));
    } catch (error) {
      if (error instanceof ApiError) setStatus(error);
    }
    setAt(Date.now());
  };
  useEffect(() => void measure(), []);
  return (
    <Dialog title="Proof" onEnd={onEnd}>
      {status === undefined
        ? <p role="status">Measuring…</p>
        : status instanceof ApiError
        ? (
          <p class="error" role="alert">
            {status.message} <span class="hint">{status.hint}</span>
          </p>
        )
        : <Report status={status} at={at} />}
      <p class="buttons">
        <button type="button" onClick={measure}>Measure again</button>
      </p>
      <Answers messages={actions.state.open.messages} />
      <Doctor />
    </Dialog>
  );
}

function Report({ status, at }: { status: Status; at: number }) {
  const { encryption, isolation, key, runners } = status;
  return (
    <>
      <p class="soft" role="status">
        Measured at {new Date(at).toLocaleTimeString("en-GB")}, by SecLlama {status.version}
      </p>
      <h3>Who sees what</h3>
      <ol class="chain">
        <li class="plain-text">
          <b>this page</b> what you type, in this tab's memory
        </li>
        <li class="plain-text">
          <b>proxy</b> seals and opens it; your own process, on loopback
        </li>
        <li class={encryption.enabled ? "sealed" : "weak"}>
          <b>gateway</b> {encryption.enabled
            ? `ciphertext (${encryption.format}): which model, how much, when`
            : "encryption is off: it serves plaintext too"}
        </li>
        <li class={isolation.level === "strict" ? "plain-text" : "weak"}>
          <b>runner</b> opens it in the sandbox; isolation {isolation.level}
        </li>
      </ol>
      {runners.length === 0 && <p>No model is loaded: nothing to measure. Ask something first.</p>}
      {runners.map((runner) => (
        <section key={runner.pid}>
          <h3>
            <Visible text={runner.model} />, process {runner.pid}
          </h3>
          <p class={runner.level === "strict" ? "good" : "error"}>
            Isolation {runner.level}: {plural(count(runner.layers, false), "layer")} enforced
            {count(runner.layers, true) > 0 &&
              `, ${count(runner.layers, true)} on the runner's word`}
            {runner.attacks === null
              ? "; its own attack was not run"
              : runner.attacks.held
              ? `; its own attack held: ${
                plural(runner.attacks.attempted, "way")
              } out tried (its word), no listener reached`
              : `; its own attack was NOT held: ${runner.attacks.problems.join("; ")}`}
          </p>
          {runner.problems.map((problem) => <p class="error" key={problem}>{problem}</p>)}
          <div class="table" tabIndex={0} role="region" aria-label={`Layers of ${runner.model}`}>
            <table>
              <thead>
                <tr>
                  <th>layer</th>
                  <th>state</th>
                  <th>seen</th>
                </tr>
              </thead>
              <tbody>
                {runner.layers.map(({ layer, state, word, observed }) => (
                  <tr key={layer}>
                    <td>{layer}</td>
                    <td class={state === "enforced" && !word ? "good" : ""}>
                      {word ? "on its word" : state}
                    </td>
                    <td>
                      <Visible text={observed} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </section>
      ))}
      <h3>Key</h3>
      <p>
        <code>{key.kid}</code> in {key.backend},{" "}
        {key.created_ms === null ? "its age is not known" : `${ageOf(at - key.created_ms)} old`}
      </p>
      {(key.warnings ?? []).map((warning) => <p class="soft" key={warning}>{warning}</p>)}
    </>
  );
}

/** The answers of the open conversation: what protected them, and how quick they were. */
function Answers({ messages }: { messages: readonly Message[] }) {
  const stats = messages.flatMap((one) => one.role === "assistant" && one.stats ? [one.stats] : []);
  if (stats.length === 0) return null;
  const sealed = stats.filter(({ receipt }) =>
    receipt?.encryption === "sealed" && receipt.isolation === "strict"
  );
  const speeds = stats.flatMap(({ perSecond }) => perSecond === undefined ? [] : [perSecond]);
  const seconds = stats.flatMap(({ ms }) => ms === undefined ? [] : [ms / 1000]);
  return (
    <>
      <h3>Answers of this conversation</h3>
      <p class={sealed.length === stats.length ? "good" : "error"}>
        {sealed.length} of {stats.length} were sealed, and made in strict isolation
      </p>
      <Plot title="Tokens a second" unit="a second" values={speeds} />
      <Plot title="Time until complete" unit="s" values={seconds} />
    </>
  );
}

/** How many are in force; those on the runner's word apart. */
function count(layers: Status["runners"][number]["layers"], onWord: boolean): number {
  return layers.filter(({ state, word }) => state === "enforced" && (word !== undefined) === onWord)
    .length;
}

/** A span in words, of ms. */
export function ageOf(ms: number): string {
  const steps = [["day", 86_400_000], ["hour", 3_600_000], ["minute", 60_000]] as const;
  for (const [name, size] of steps) {
    const n = Math.floor(ms / size);
    if (n > 0) return plural(n, name);
  }
  return "less than a minute";
}
