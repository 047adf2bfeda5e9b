/** Where `secllama run` sends a request: to the proxy of this machine, or sealed from here to a gateway. */
import { JSON_TYPE } from "../../api/media_types.ts";
import { isMetadata } from "../../api/routes.ts";
import { type SealedFetch, sealedFetch } from "../../client/mod.ts";
import { utf8 } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import { listenerUids, ownUid } from "../../http/peer.ts";
import { listPairings } from "../../keys/mod.ts";
import { hardenSelf } from "../../sandbox/mod.ts";
import { type CommandContext, stringOption } from "../command.ts";
import { pairedGateway } from "../pairings.ts";
import type { Post } from "./ask.ts";

/** To the proxy; or, where there is none and this machine is paired, sealed from here. */
export async function makePost(
  context: CommandContext,
  dataDir: string,
  base: string,
): Promise<Post> {
  const init = (body: string, signal: AbortSignal) => ({
    method: "POST",
    headers: { "content-type": JSON_TYPE },
    body,
    signal,
  });
  const named = stringOption(context, "use") !== undefined;
  if (!named && (await listPairings(dataDir)).every((gateway) => !gateway.current)) {
    return (path, body, signal) => viaProxy(base, path, init(body, signal), signal);
  }
  let sealed: SealedFetch | undefined;
  const direct: Post = async (path, body, signal) => {
    if (sealed === undefined) {
      hardenSelf(); // before a key is in memory
      sealed = sealedFetch((await pairedGateway(context, dataDir))!);
    }
    // What is said of a model is no conversation, and is not sealed.
    if (isMetadata("POST", path)) {
      const headers = { "content-type": JSON_TYPE };
      return await sealed.metadata(path, {
        method: "POST",
        body: utf8(body),
        headers,
        signal,
      });
    }
    return await sealed(path, init(body, signal));
  };
  if (named) return direct;
  return async (path, body, signal) => {
    if (sealed !== undefined) return await direct(path, body, signal);
    try {
      return await viaProxy(base, path, init(body, signal), signal);
    } catch (error) {
      if (!(error instanceof SecLlamaError) || error.code !== "gateway-unreachable") throw error;
      return await direct(path, body, signal);
    }
  };
}

async function viaProxy(
  base: string,
  path: string,
  init: RequestInit,
  signal: AbortSignal,
): Promise<Response> {
  refuseOthersProxy(base);
  try {
    return await fetch(base + path, init);
  } catch (cause) {
    if (signal.aborted) throw new SecLlamaError("cancelled", "cancelled");
    throw new SecLlamaError("gateway-unreachable", `no proxy answers on ${base.slice(7)}`, {
      hint: "to start one, run: secllama serve",
      cause,
    });
  }
}

/**
 * While no proxy of ours runs, any user of the machine may listen on its port, and what is sent there is not sealed yet.
 * @throws {SecLlamaError} `peer-refused`.
 */
function refuseOthersProxy(base: string): void {
  if (Deno.build.os !== "linux") return;
  const { port, host } = new URL(base);
  if (listenerUids(Number(port)).every((uid) => uid === ownUid())) return;
  throw new SecLlamaError("peer-refused", `another user's program listens on ${host}`, {
    hint: "nothing was sent to it; run your own on another port: secllama serve --proxy-port=N",
  });
}
