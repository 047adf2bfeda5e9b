/// <reference lib="dom" />
/** Under an answer: what protected it, and the host's signed word on it. */
import { useState } from "preact/hooks";
import { COSE_TYPE } from "../api/media_types.ts";
import type { Receipt } from "../api/reply_lines.ts";
import { pathOf, ROUTES } from "../api/routes.ts";
import { ApiError, fileOf } from "./api.ts";
import { download } from "./export.ts";
import { plural } from "../plural.ts";

export function ReceiptLine({ receipt }: { receipt: Receipt }) {
  const { encryption, isolation, truncated, id, secret } = receipt;
  const good = encryption === "sealed" && isolation === "strict";
  return (
    <>
      {" "}
      <span class={good ? "receipt good" : "receipt weak"}>
        {encryption === "sealed" ? "sealed" : `encryption ${encryption}`},{" "}
        {isolation === "strict" ? "isolated" : `isolation ${isolation}`}
      </span>
      {truncated && (
        <span class="receipt weak">the question was cut to {plural(truncated.kept, "token")}</span>
      )}
      {id !== undefined && secret !== undefined && <Signed id={id} secret={secret} />}
    </>
  );
}

/** A line of the host's audit log, with its signature: fetched when it is asked for. */
function Signed({ id, secret }: { id: string; secret: string }) {
  const [said, setSaid] = useState("");
  const save = async () => {
    try {
      download(
        `receipt-${id.slice(0, 8)}.cose`,
        COSE_TYPE,
        await fileOf(pathOf(ROUTES.receipt, id)),
      );
      setSaid("Saved. To check it: secllama receipt verify FILE --key audit.pem");
    } catch (error) {
      setSaid(error instanceof ApiError ? `${error.message}. ${error.hint ?? ""}` : "failed");
    }
  };
  return (
    <details class="signed">
      <summary>receipt</summary>
      <p>
        The host's signed word that there was this exchange: <code>{id}</code>
      </p>
      <p>
        What proves later which one it was, together with its bytes: <code>{secret}</code>
      </p>
      <button type="button" onClick={save}>Save the receipt</button>
      <span role="status">{said}</span>
    </details>
  );
}
