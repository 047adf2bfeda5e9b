/** Floods of connections that show little, by this user or by another one, for tests and benchmarks of shares. */
import { fromBase64Url, toHex, utf8 } from "../../src/bytes.ts";
import { encodeRequestHeader } from "../../src/sealed/header.ts";
import { recipientId } from "../../src/sealed/suite.ts";
import { settled } from "./patience.ts";

/** The system's own: one in root's home is closed to another user. */
const PYTHON = "/usr/bin/python3";
const SETPRIV = "/usr/bin/setpriv";
const SCRIPT = new URL("./flood.py", import.meta.url);
const ASK = new URL("./ask.py", import.meta.url);
const HOST = "Host: localhost\r\n";

/** Why no flood can be made here, as another user: printed, then. `undefined`: one can. */
export async function whyNoFlood(another: boolean): Promise<string | undefined> {
  const there = (path: string) => Deno.stat(path).then(() => true, () => false);
  if (!await there(PYTHON)) return `${PYTHON} is not there`;
  if (!another) return undefined;
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return "only root can be another user";
  return await there(SETPRIV) ? undefined : `${SETPRIV} is not there`;
}

export interface FloodKind {
  readonly name: string;
  /** Connections at full size. */
  readonly count: number;
  readonly payload: Uint8Array<ArrayBuffer>;
  /** Seconds between two bytes; 0: all at once. */
  readonly gap: number;
  /** Of TLS: without a handshake. */
  readonly raw?: boolean;
}

const LONG = "x".repeat(4000);

/** What a stranger can send to either port, with no key. */
export const PLAIN_FLOODS: readonly FloodKind[] = [
  { name: "silent connections", count: 2000, payload: utf8(""), gap: 0 },
  {
    name: "bodies that stop",
    count: 600,
    payload: utf8(
      `POST /api/chat HTTP/1.1\r\n${HOST}Content-Type: application/json\r\nContent-Length: 9000\r\n\r\n{`,
    ),
    gap: 0,
  },
  {
    name: "heads of a byte a second",
    count: 600,
    payload: utf8(`GET /api/tags HTTP/1.1\r\n${HOST}X-Long: ${LONG}\r\n\r\n`),
    gap: 1,
  },
];

/** What of a key document a sealed request's header is made of. */
export interface NamedKey {
  readonly pk: string;
  readonly suite: number;
}

/**
 * Sealed requests that name a client, and never come whole: what anybody can send who has seen a client's id.
 * @param gateway Its URL.
 */
export async function sealedFlood(
  gateway: string,
  pskId: string,
  o: { readonly drips: boolean },
): Promise<FloodKind> {
  const challenge = "00".repeat(16);
  const asked = await fetch(`${gateway}/sealed/v1/key?model=demo&id=${pskId}&c=${challenge}`);
  return sealedKind(await asked.json(), pskId, o);
}

/** The same with a key document that is there. */
export function sealedKind(
  document: NamedKey,
  pskId: string,
  o: { readonly drips: boolean },
): FloodKind {
  const rk = recipientId(fromBase64Url(document.pk));
  const header = encodeRequestHeader({ suite: document.suite, rk, pskId });
  const head = utf8(
    `POST /sealed/v1 HTTP/1.1\r\n${HOST}Content-Type: application/vnd.secllama.sealed;v=1\r\n` +
      `Content-Length: 9000\r\n\r\n`,
  );
  return {
    name: o.drips ? "sealed requests of a byte a second" : "sealed requests that stop",
    count: 600,
    payload: Uint8Array.from([...head, ...header, ...(o.drips ? utf8(LONG) : [])]),
    gap: o.drips ? 1 : 0,
  };
}

export interface Flood {
  /** Ends it. @returns Connections that were made. */
  stop(): Promise<number>;
}

/** Starts a flood, and resolves when its connections were made. @param o.another As another user than this one. */
export async function startFlood(
  url: string,
  kind: FloodKind,
  { another, count = kind.count, again = 2, under = [], from = "" }: {
    readonly another: boolean;
    readonly count?: number;
    /** Connections that are opened anew at a time. */
    readonly again?: number;
    /** argv prefix under which it runs, in a network namespace say. */
    readonly under?: readonly string[];
    /** The address that it comes from. */
    readonly from?: string;
  },
): Promise<Flood> {
  const { hostname, port, protocol } = new URL(url);
  const argv = [
    ...under,
    PYTHON,
    "-c",
    await Deno.readTextFile(SCRIPT),
    hostname,
    port,
    String(count),
    String(kind.gap),
    String(again),
    toHex(kind.payload),
    from,
    ...(protocol === "https:" && !kind.raw ? ["tls"] : []),
  ];
  const as = [SETPRIV, "--reuid=65534", "--regid=65534", "--clear-groups"];
  const [program, ...args] = another ? [...as, ...argv] : argv;
  const child = new Deno.Command(program!, { args, stdin: "piped", stdout: "piped" }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  const read = async (until: RegExp) => {
    while (!until.test(said)) {
      const { done, value } = await settled(lines.read(), "the flood's word");
      if (done) throw new Error(`the flood ended: ${said}`);
      said += value;
    }
  };
  await read(/open\n/);
  return {
    async stop() {
      await child.stdin.close();
      await read(/open\n\d+\n/);
      await lines.cancel();
      await child.status;
      return Number(/\d+/.exec(said)![0]);
    },
  };
}

/**
 * One real request beside a flood, on a connection of its own.
 * @param json Absent: a GET.
 * @returns Its status; 0: there was no answer, and why was printed.
 */
export async function askOnce(url: string, json?: object): Promise<number> {
  const { port, pathname } = new URL(url);
  const body = json === undefined ? "" : JSON.stringify(json);
  const type = json === undefined
    ? ""
    : `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`;
  const request = `${json === undefined ? "GET" : "POST"} ${pathname} HTTP/1.1\r\n${HOST}` +
    `Connection: close\r\n${type}\r\n${body}`;
  const { stdout } = await new Deno.Command(PYTHON, {
    args: ["-c", await Deno.readTextFile(ASK), port, toHex(utf8(request))],
    stdin: "null",
    stderr: "inherit",
  }).output();
  return Number(new TextDecoder().decode(stdout));
}
