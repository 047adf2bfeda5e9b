/** The control: a reverse proxy that passes plaintext on to a gateway whose encryption is off. careless_main.ts FROM TO */
const [from, to] = Deno.args.map((text) => new URL(text!));
Deno.serve(
  { hostname: from!.hostname, port: Number(from!.port), onListen: () => console.log("ready") },
  async (request) => {
    const { pathname, search } = new URL(request.url);
    return await fetch(new URL(pathname + search, to), {
      method: request.method,
      headers: { "content-type": "application/json" },
      body: await request.bytes(),
    });
  },
);
