/**
 * An active attacker on the way, stronger than one on the wire: it has the gateway's own TLS certificate and key, so TLS hides
 * nothing from it. It passes everything on, and attacks as the file MODE says at that moment.
 *
 *     attacker_main.ts CERT KEY MODE PORT GATEWAY
 *
 * Prints `ready`, a line `suite N` for each sealed request, and `attacked MODE` for each attack that it made.
 */
const [cert, key, modeFile, port, gateway] = Deno.args as [string, string, string, string, string];
const pem = Deno.readTextFileSync(cert);
const client = Deno.createHttpClient({ caCerts: [pem] });
const SEALED = "application/vnd.secllama.sealed;v=1";
/** What it would have the laptop believe. */
const LIE = JSON.stringify({ message: { role: "assistant", content: "LIE" }, done: true });
let captured: Uint8Array<ArrayBuffer> | undefined;

Deno.serve({
  hostname: "10.77.0.1",
  port: Number(port),
  cert: pem,
  key: Deno.readTextFileSync(key),
  onListen: () => console.log("ready"),
}, async (request) => {
  const url = new URL(request.url);
  const mode = Deno.readTextFileSync(modeFile).trim();
  const attacked = () => console.log(`attacked ${mode}`);
  let body = await request.bytes();
  const sealed = url.pathname === "/sealed/v1";
  const forward = async () => {
    const headers = new Headers(request.headers);
    headers.delete("host");
    return await fetch(gateway + url.pathname + url.search, {
      method: request.method,
      headers,
      ...(body.length > 0 ? { body } : {}),
      client,
    });
  };
  if (url.pathname === "/sealed/v1/key" && mode === "key") {
    attacked();
    const document = await (await forward()).json();
    const pk = crypto.getRandomValues(new Uint8Array(document.suite === 2 ? 1216 : 32));
    return Response.json({
      ...document,
      pk: pk.toBase64({ alphabet: "base64url", omitPadding: true }),
    });
  }
  if (url.pathname === "/sealed/v1/key" && mode === "suite") {
    // A weaker suite than was asked for, honestly announced by the runner itself.
    attacked();
    url.searchParams.set("suite", "1");
    return passOn(await forward());
  }
  if (!sealed) return passOn(await forward());
  console.log(`suite ${body[4]}`);
  switch (mode) {
    case "request-bit":
      attacked();
      body = body.slice();
      body[body.length - 20]! ^= 1;
      return passOn(await forward());
    case "capture":
      attacked();
      captured = body.slice();
      return passOn(await forward());
    case "replay": {
      attacked();
      body = captured!;
      const answer = await forward();
      console.log(`replayed ${answer.status}`);
      return passOn(answer);
    }
    case "plaintext":
      attacked();
      return Response.json(JSON.parse(LIE));
    case "plaintext-sealed":
      attacked();
      return new Response(LIE, { headers: { "content-type": SEALED } });
    case "refuse-sealing":
      attacked();
      return Response.json({ error: "send plaintext" }, {
        status: 426,
        headers: { upgrade: "plain" },
      });
    case "redirect":
      attacked();
      return new Response(null, {
        status: 307,
        headers: { location: "http://10.77.0.1:8080/api/chat" },
      });
  }
  const answer = await forward();
  if (mode === "pass" || answer.status !== 200) return passOn(answer);
  attacked();
  return new Response(meddle(new Uint8Array(await answer.arrayBuffer()), mode), {
    headers: { "content-type": SEALED },
  });
});

function passOn(answer: Response): Response {
  const headers = new Headers();
  for (const name of ["content-type", "secllama-now"]) {
    const value = answer.headers.get(name);
    if (value !== null) headers.set(name, value);
  }
  return new Response(answer.body, { status: answer.status, headers });
}

/** `"SLR1" | rn[32] | commit[32] | frame+`, a frame being `type u8 | length u24 | bytes`. */
function meddle(reply: Uint8Array<ArrayBuffer>, mode: string): Uint8Array<ArrayBuffer> {
  const prefix = reply.slice(0, 68);
  const frames: Uint8Array[] = [];
  for (let at = 68; at < reply.length;) {
    const end = at + 4 + (reply[at + 1]! << 16 | reply[at + 2]! << 8 | reply[at + 3]!);
    frames.push(reply.slice(at, end));
    at = end;
  }
  const last = frames.length - 1;
  switch (mode) {
    case "bit":
      frames[last]![10]! ^= 1;
      break;
    case "drop":
      frames.splice(last - 1, 1);
      break;
    case "double":
      frames.splice(last, 0, frames[last - 1]!);
      break;
    case "swap":
      [frames[last], frames[last - 1]] = [frames[last - 1]!, frames[last]!];
      break;
    case "cut":
      frames.pop();
      break;
    case "final-early":
      frames.splice(last);
      frames[last - 1]![0] = 1;
      break;
    case "append":
      frames.push(frames[last]!);
      break;
    default:
      throw new Error(`unknown mode ${mode}`);
  }
  return new Uint8Array([...prefix, ...frames.flatMap((frame) => [...frame])]);
}
