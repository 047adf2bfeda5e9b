/** Where `secllama run` sends a request: to the proxy of this machine, or sealed from here to a gateway. */
import { askLocalProxy, type LocalProxy } from "../../app/local_proxy.ts";
import { JSON_TYPE } from "../../api/media_types.ts";
import { isMetadata } from "../../api/routes.ts";
import { type SealedFetch, sealedFetch } from "../../client/mod.ts";
import { utf8 } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import { listPairings } from "../../keys/mod.ts";
import { hardenSelf } from "../../sandbox/mod.ts";
import { type CommandContext, stringOption } from "../command.ts";
import { pairedGateway } from "../pairings.ts";
import type { Post } from "./ask.ts";

/** To the proxy; or, where there is none and this machine is paired, sealed from here. */
export async function makePost(
  context: CommandContext,
  proxy: LocalProxy,
): Promise<Post> {
  const { dataDir } = proxy;
  const init = (body: string, signal: AbortSignal) => ({
    method: "POST",
    headers: { "content-type": JSON_TYPE },
    body,
    signal,
  });
  const named = stringOption(context, "use") !== undefined;
  if (!named && (await listPairings(dataDir)).every((gateway) => !gateway.current)) {
    return (path, body, signal) => askLocalProxy(proxy, { method: "POST", path, body, signal });
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
      return await askLocalProxy(proxy, { method: "POST", path, body, signal });
    } catch (error) {
      // Whatever else listens there has got nothing: the gateway that this machine is paired with is asked instead.
      const other = error instanceof SecLlamaError &&
        ["gateway-unreachable", "peer-refused"].includes(error.code);
      if (!other) throw error;
      return await direct(path, body, signal);
    }
  };
}
