/**
 * Names that Windows keeps for devices, or cannot keep, over the API: on every route that names a model, in every place of a name.
 * None is taken, and none comes to lie in a folder. What only looks alike is a name. All of them with SECLLAMA_FULL=1.
 */
import assert from "node:assert/strict";
import { ROUTES, routes } from "../../src/api/routes.ts";
import { sampler } from "../support/sampler.ts";
import { startServe } from "../support/serve.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
const SAMPLE = 8;

/** "Naming Files, Paths, and Namespaces" (Microsoft), the consoles' own names of GetFullPathName besides. */
const DEVICES = [
  ...["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"],
  ...["COM", "LPT"].flatMap((port) => [..."0123456789¹²³"].map((digit) => port + digit)),
];
/** Where a device can stand in a name, and what Windows drops from a file's end. */
const PLACES: readonly ((device: string) => string)[] = [
  (device) => device,
  (device) => `${device}:latest`,
  (device) => `${device}.txt`,
  (device) => `${device}.tar.gz:1b`,
  (device) => `demo:${device}`,
  (device) => `demo:${device}.q4`,
  (device) => `${device}/demo`,
  (device) => `me/${device}`,
  (device) => `registry.example/${device}/demo`,
  (device) => `${device}/me/demo`,
  (device) => `${device}:5000/me/demo`,
  (device) => `${device}.`,
  (device) => `${device} `,
];
const DROPPED = [
  "demo.",
  "demo..",
  "demo:latest.",
  "demo ",
  "demo. ",
  " demo",
  "me/demo.",
  "demo:. ",
];
/** Names like those that are names. */
const ALIKE = ["confirm", "con-1", "auxiliary", "nul_", "com10", "lpt", "x.con", "me/prn2:aux-1"];

/** By Microsoft's words, and not by our expression: what a part of a path becomes on Windows. */
function isKept(part: string): boolean {
  const name = part.replace(/[. ]+$/, "");
  return name !== part || DEVICES.includes(name.split(".")[0]!.trimEnd().toUpperCase());
}

function* partsBelow(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    yield name;
    if (isDirectory) yield* partsBelow(`${folder}/${name}`);
  }
}

type Ask = readonly [method: string, path: string, body?: object];

/** Every way to name a model, but for a push, which there is none of. */
function asksFor(name: string): Ask[] {
  const inference = routes("inference").map((route): Ask => ["POST", route.path, {
    model: name,
    prompt: "x",
    input: "x",
    content: "x",
    tokens: [1],
    query: "x",
    documents: ["x"],
    max_tokens: 1,
    messages: [{ role: "user", content: "x" }],
  }]);
  return [
    ...inference,
    ["POST", ROUTES.pull.path, { model: name, stream: false }],
    ["POST", ROUTES.create.path, { model: name, from: "demo", stream: false }],
    ["POST", ROUTES.create.path, { model: "fine", from: name, stream: false }],
    ["POST", ROUTES.copy.path, { source: "demo", destination: name }],
    ["POST", ROUTES.copy.path, { source: name, destination: "fine" }],
    ["DELETE", ROUTES.delete.path, { model: name }],
    ["POST", ROUTES.show.path, { model: name }],
    ["GET", ROUTES.model.path.replace("{model}", encodeURIComponent(name))],
    [
      "GET",
      `${ROUTES.sealedKey.path}?id=local.0&c=${"0".repeat(32)}&model=${encodeURIComponent(name)}`,
    ],
  ];
}

Deno.test("reserved names: no route takes one, wherever it stands in a model's name, and none lies in a folder", async () => {
  const all = [
    ...DROPPED,
    ...DEVICES.flatMap((device) =>
      [device, device.toLowerCase(), device[0] + device.slice(1).toLowerCase()].flatMap((
        spelling,
      ) => PLACES.map((place) => place(spelling)))
    ),
  ];
  const next = sampler(20261130);
  const names = FULL ? all : [
    ...DROPPED.slice(0, 3),
    ...Array.from({ length: SAMPLE }, () => all[next(all.length)]!),
  ];
  const served = await startServe({
    args: ["--ephemeral", "--no-preload", "--allow-model-management"],
  });
  try {
    const ask = async (base: string, [method, path, body]: Ask) => {
      const answer = await fetch(base + path, {
        method,
        ...(body && {
          headers: { "content-type": "application/json" },
          body: JSON.stringify(body),
        }),
      });
      return { status: answer.status, text: await answer.text() };
    };
    for (const name of ALIKE) {
      const made = await ask(served.proxyUrl, ["POST", ROUTES.create.path, {
        model: name,
        from: "demo",
        stream: false,
      }]);
      assert.equal(made.status, 200, `${name}: ${made.text}`);
    }
    for (const name of names) {
      for (const base of [served.proxyUrl, served.gatewayUrl]) {
        for (const one of asksFor(name)) {
          const { status, text } = await ask(base, one);
          const label = `${one[0]} ${one[1]} ${JSON.stringify(one[2])}: ${status} ${text}`;
          assert.ok(status >= 400 && status < 500, label);
          assert.doesNotMatch(text, /internal/, label);
        }
      }
    }
    const { models } = JSON.parse((await ask(served.proxyUrl, ["GET", ROUTES.tags.path])).text);
    assert.equal(models.length, ALIKE.length + 1, "the names that are names, and demo");
    const parts = [...partsBelow(served.home)];
    assert.ok(parts.includes("auxiliary"), "the store is looked at");
    assert.deepEqual(parts.filter(isKept), []);
  } finally {
    await served.stop();
  }
});
