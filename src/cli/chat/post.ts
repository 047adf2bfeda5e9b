/** Where `secllama run` sends a request: to the proxy of this machine, or sealed from here to a gateway. */
import { type LocalProxy, NoOwnProxy } from "../../app/local_proxy.ts";
import { JSON_TYPE } from "../../api/media_types.ts";
import { isMetadata } from "../../api/routes.ts";
import { type SealedFetch, sealedFetch } from "../../client/mod.ts";
import { utf8 } from "../../bytes.ts";
import { listPairings } from "../../keys/mod.ts";
import { hardenSelf } from "../../sandbox/mod.ts";
import { type CommandContext, stringOption } from "../command.ts";
import { pairedGateway } from "../pairings.ts";
import { type Post, postToProxy } from "./ask.ts";

/** To the proxy; or, where there is none and this machine is paired, sealed from here. */
export async function makePost(
  context: CommandContext,
  proxy: LocalProxy,
): Promise<Post> {
  const { dataDir } = proxy;
  const headOf = (body: string | undefined, signal: AbortSignal) =>
    body === undefined
      ? { method: "GET", signal }
      : { method: "POST", headers: { "content-type": JSON_TYPE }, signal };
  const local = postToProxy(proxy);
  const named = stringOption(context, "use") !== undefined;
  if (!named && (await listPairings(dataDir)).every((gateway) => !gateway.current)) {
    return local;
  }
  let opening: Promise<SealedFetch> | undefined;
  const open = async () => {
    hardenSelf(); // before a key is in memory
    return sealedFetch((await pairedGateway(context, dataDir))!);
  };
  const direct: Post = async (path, body, signal) => {
    // Once, whoever asks meanwhile: the key may be under a passphrase.
    opening ??= open();
    const sealed = await opening.catch((error) => {
      opening = undefined;
      throw error;
    });
    const head = headOf(body, signal);
    // What is said of a model is no conversation, and is not sealed.
    if (isMetadata(head.method, path)) {
      return await sealed.metadata(path, body === undefined ? head : { ...head, body: utf8(body) });
    }
    return await sealed(path, body === undefined ? head : { ...head, body });
  };
  if (named) return direct;
  return async (path, body, signal) => {
    if (opening !== undefined) return await direct(path, body, signal);
    try {
      return await local(path, body, signal);
    } catch (error) {
      // Whatever else listens there has got nothing: the gateway that this machine is paired with is asked instead. Not where a proxy
      // is slow: what was meant for the model of its serve is not sent to another machine.
      if (!(error instanceof NoOwnProxy)) throw error;
      return await direct(path, body, signal);
    }
  };
}
