/// <reference lib="dom" />
/** The host's doctor, run from the page: every attack from a runner's place in a fresh sandbox, and what came of it. */
import { useState } from "preact/hooks";
import { ApiError, type DoctorReport, runDoctor } from "./api.ts";
import { Visible } from "./markdown.tsx";
import { plural } from "../plural.ts";

const VERDICTS = {
  holds: "All holds",
  fails: "Not everything holds",
  "not judged": 'Nothing failed, but not everything was run: that is no "holds"',
} as const;

export function Doctor() {
  const [seconds, setSeconds] = useState<number>();
  const [report, setReport] = useState<DoctorReport | ApiError>();
  const run = async () => {
    setReport(undefined);
    setSeconds(0);
    try {
      setReport(await runDoctor(setSeconds));
    } catch (error) {
      if (error instanceof ApiError) setReport(error);
    }
    setSeconds(undefined);
  };
  return (
    <section>
      <h3>Attack it</h3>
      <p class="soft">
        Every attack of the list, made from a model's place in a fresh sandbox, as{" "}
        <code>secllama doctor</code> makes them. It takes some ten seconds, of all processors.
      </p>
      <p class="buttons">
        <button type="button" onClick={run} disabled={seconds !== undefined}>Run the doctor</button>
      </p>
      <div role="status">
        {seconds !== undefined && <p>Attacking… {seconds} s</p>}
        {report instanceof ApiError && (
          <p class="error">
            {report.message} <span class="hint">{report.hint}</span>
          </p>
        )}
        {report && !(report instanceof ApiError) && <Verdict report={report} />}
      </div>
      {report && !(report instanceof ApiError) && <Checks report={report} />}
    </section>
  );
}

function Verdict({ report: { verdict, checks } }: { report: DoctorReport }) {
  const attacks = checks.filter(({ stoppedBy }) => stoppedBy !== undefined);
  const held = attacks.filter(({ result }) => result === "holds").length;
  return (
    <p class={verdict === "holds" ? "good" : "error"}>
      {VERDICTS[verdict]}: {held} of {plural(attacks.length, "attack")} stopped
    </p>
  );
}

function Checks({ report: { checks, limits } }: { report: DoctorReport }) {
  // What does not hold is seen first.
  const fails = ({ result }: { result: string }) => Number(result === "fails");
  const rows = checks.toSorted((a, b) => fails(b) - fails(a));
  return (
    <>
      <div class="table tall" tabIndex={0} role="region" aria-label="What the doctor found">
        <table>
          <thead>
            <tr>
              <th>result</th>
              <th>check</th>
              <th>observed</th>
              <th>stopped by</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ name, result, observed, stoppedBy }, at) => (
              <tr key={at}>
                <td class={result === "holds" ? "good" : result === "fails" ? "error" : ""}>
                  {result}
                </td>
                <td>
                  <Visible text={name} />
                </td>
                <td>
                  <Visible text={observed} />
                </td>
                <td>{stoppedBy ?? ""}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {limits.map(({ name, observed }) => (
        <p class="soft" key={name}>
          A limit of this machine: <Visible text={`${name}: ${observed}`} />
        </p>
      ))}
    </>
  );
}
