/** A release rehearsed on the test base, its sums, signature and bills; and install.sh against a server that cheats. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import { Spec, Validation } from "@cyclonedx/cyclonedx-library";
import { difference, partListInside, refuseBase } from "../../scripts/release/artefacts.ts";
import { toPem } from "../../src/pem.ts";
import { issue, makeAuthority } from "../../src/tls/certificate.ts";
import { compiledProgram } from "../support/binary.ts";
import { ROOT, runToEnd } from "./testing.ts";

const IGNORE = compiledProgram() === "";
const full = Deno.env.get("SECLLAMA_FULL") === "1";
const PATH = "/usr/local/bin:/usr/bin:/bin";

type Fault = "none" | "file" | "sums" | "cut" | "redirect" | "signature";

/** The list with another sum for the executable. */
function otherSum(list: Uint8Array): string {
  return new TextDecoder().decode(list)
    .replace(/^.(?=\S{63} {2}\S+x86_64$)/m, (digit) => digit === "0" ? "1" : "0");
}

/** Serves `folder`, with one fault. */
function serve(folder: string, fault: () => Fault, elsewhere: () => void) {
  const other = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, () => {
    elsewhere();
    return new Response("taken");
  });
  const options = { port: 0, hostname: "127.0.0.1", onListen() {}, onError: () => new Response() };
  const server = Deno.serve(options, async (request) => {
    const name = decodeURIComponent(new URL(request.url).pathname.slice(1));
    const bytes = await Deno.readFile(join(folder, name)).catch(() => null);
    if (bytes === null) return new Response("", { status: 404 });
    const executable = name.startsWith("secllama-") && !name.endsWith(".json");
    switch (fault()) {
      case "file":
        if (executable) bytes[bytes.length >> 1]! ^= 1;
        break;
      case "sums":
        if (name === "SHA256SUMS") return new Response(otherSum(bytes));
        break;
      case "signature":
        if (name === "SHA256SUMS.minisig") bytes[100]! ^= 1;
        break;
      case "redirect":
        if (executable) return Response.redirect(`http://127.0.0.1:${other.addr.port}/`, 302);
        break;
      case "cut":
        if (executable) {
          const body = new ReadableStream({
            start(controller) {
              controller.enqueue(bytes.subarray(0, 1 << 20));
              setTimeout(() => controller.error("cut"), 100);
            },
          });
          return new Response(body, { headers: { "content-length": String(bytes.length) } });
        }
    }
    return new Response(bytes);
  });
  return {
    port: server.addr.port,
    close: () => Promise.all([server.shutdown(), other.shutdown()]),
  };
}

Deno.test(
  { name: "release: rehearsed, signed, described, and installed", ignore: IGNORE },
  async (t) => {
    const work = await Deno.makeTempDir({ prefix: "secllama-release-" });
    const output = join(work, "release");
    let fault: Fault = "none";
    let taken = 0;
    const server = serve(output, () => fault, () => taken++);
    try {
      const keys = await runToEnd(
        ["/usr/bin/minisign", "-G", "-W", "-p", "key.pub", "-s", "key.sec"],
        { env: { PATH, HOME: work }, cwd: work },
      );
      assert.equal(keys.code, 0, keys.stderr);
      const env = { ...Deno.env.toObject(), NO_COLOR: "1" };
      const release = (args: string[], more: Record<string, string> = {}) =>
        runToEnd([
          Deno.execPath(),
          "run",
          "-A",
          "--frozen",
          "scripts/release.ts",
          "--key",
          join(work, "key.sec"),
          "--public-key",
          join(work, "key.pub"),
          ...args,
        ], { env: { ...env, ...more }, cwd: ROOT });
      const url = `http://127.0.0.1:${server.port}`;
      const install = (args: string[], path = PATH) =>
        runToEnd(["/bin/sh", join(output, "install.sh"), ...args], {
          env: { HOME: join(work, "home"), PATH: path },
          cwd: work,
        });
      const installed = join(work, "home/.local/bin/secllama");

      await t.step("a base or an address that is not a release's is refused", async () => {
        const base = partListInside(await Deno.readFile(compiledProgram())).build.base;
        assert.equal(base.kind, "testbase");
        assert.throws(
          () => refuseBase(base, false),
          /a release is built on the one of Deno's own host/,
        );
        refuseBase(base, true);
        assert.throws(() => refuseBase({ kind: "named", sha256: "0" }, true), /"named"/);
        const named = await release(["--url", "https://example.org/x"], {
          DENORT_BIN: "/bin/true",
        });
        assert.deepEqual([named.code, /DENORT_BIN/.test(named.stderr)], [1, true], named.stderr);
        const plain = await release(["--url", "http://example.org/x"]);
        assert.deepEqual([plain.code, /must be https/.test(plain.stderr)], [1, true], plain.stderr);
        const given = await release([
          "--url",
          "https://example.org/x",
          "--first",
          compiledProgram(),
        ]);
        assert.deepEqual([given.code, /are for --rehearse/.test(given.stderr)], [1, true]);
        assert.match(difference(Uint8Array.of(1, 2, 3), Uint8Array.of(1, 9, 3)), /from 0x1$/);
      });

      await t.step(
        full
          ? "two builds are the same, and the sums and the signature are right"
          : "the sums and the signature are right",
        async () => {
          // Each build takes a processor ten seconds.
          const built = full
            ? []
            : ["--first", "--second"].flatMap((at) => [at, compiledProgram()]);
          if (!full) console.log("skipped: that two builds are the same; set SECLLAMA_FULL=1");
          const made = await release(["--rehearse", "--url", url, "--output", output, ...built]);
          assert.equal(made.code, 0, made.stderr);
          assert.match(made.stdout, /secllama-[^ ]+\+rehearsal-linux-x86_64: two builds, the same/);
          const sums = await runToEnd([
            "/usr/bin/sha256sum",
            "-c",
            "--strict",
            "--quiet",
            "SHA256SUMS",
          ], {
            env: { PATH },
            cwd: output,
          });
          assert.deepEqual([sums.code, sums.stdout], [0, ""]);
          const verify = () =>
            runToEnd(["/usr/bin/minisign", "-V", "-p", join(work, "key.pub"), "-m", "SHA256SUMS"], {
              env: { PATH, HOME: work },
              cwd: output,
            });
          assert.match((await verify()).stdout, /Trusted comment: secllama .*\+rehearsal/);
          const list = join(output, "SHA256SUMS");
          const text = await Deno.readTextFile(list);
          await Deno.writeTextFile(list, text.replace("install.sh", "install.ssh"));
          assert.notEqual((await verify()).code, 0);
          await Deno.writeTextFile(list, text);
        },
      );

      await t.step("the bill of materials is CycloneDX 1.6 and names every part", async () => {
        const [file] = [...Deno.readDirSync(output)].filter((e) => e.name.endsWith(".cdx.json"));
        const text = await Deno.readTextFile(join(output, file!.name));
        const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot6);
        assert.equal(await validator.validate(text), null);
        const bill = JSON.parse(text);
        const broken = { ...bill, components: [{ ...bill.components[0], type: "thing" }] };
        assert.notEqual(await validator.validate(JSON.stringify(broken)), null);
        const list = partListInside(
          await Deno.readFile(join(output, file!.name.replace(".cdx.json", ""))),
        );
        for (const part of list.parts) assert.ok(text.includes(part.sha256), part.name);
        for (const p of list.build.packages) assert.ok(text.includes(`"${p.name}"`), p.name);
      });

      for (
        const [name, message] of [
          ["file", /is not what SHA256SUMS says/],
          ["sums", /the signature of SHA256SUMS is wrong/],
          ["signature", /the signature of SHA256SUMS is wrong/],
          ["cut", /cannot download/],
          ["redirect", /is not what SHA256SUMS says/], // not followed: an empty answer
        ] as const
      ) {
        await t.step(`install.sh: ${name} tampered with, and nothing is installed`, async () => {
          fault = name;
          const { code, stderr } = await install([]);
          assert.equal(code, 1, stderr);
          assert.match(stderr, message);
          const bin = join(work, "home/.local/bin");
          assert.deepEqual([...Deno.readDirSync(bin)].map((e) => e.name), []);
        });
      }

      await t.step("install.sh installs, says what it did not check, and removes", async () => {
        fault = "none";
        assert.equal(taken, 0, "the redirect was followed");
        const first = await install([]);
        assert.equal(first.code, 0, first.stderr);
        assert.match(first.stdout, /^signature: right\ninstalled .*\nnote: .* is not in PATH\n$/);
        const version = await runToEnd([installed, "version"], { env: { HOME: work, PATH } });
        assert.match(version.stdout, /^secllama .*\+testbase /);
        // Without minisign: the sum alone, and it says so.
        const bare = join(work, "bare");
        await Deno.mkdir(bare);
        for (
          const tool of [
            "curl",
            "sha256sum",
            "cut",
            "uname",
            "mktemp",
            "rm",
            "mkdir",
            "chmod",
            "mv",
          ]
        ) await Deno.symlink(`/usr/bin/${tool}`, join(bare, tool));
        await Deno.symlink("/usr/bin/awk", join(bare, "awk"));
        const second = await install([], bare);
        assert.equal(second.code, 0, second.stderr);
        assert.match(
          second.stdout,
          /^signature: not checked, minisign is not installed\ninstalled/,
        );
        fault = "sums";
        assert.match((await install([], bare)).stderr, /is not what SHA256SUMS says/);
        assert.equal((await install(["--uninstall"])).code, 0);
        await assert.rejects(Deno.stat(installed));
        assert.equal((await install(["--uninstall"])).code, 1);
        assert.match((await install(["--sudo"])).stderr, /unknown option/);
      });
    } finally {
      await server.close();
      await Deno.remove(work, { recursive: true });
    }
  },
);

Deno.test("install.sh: shellcheck has nothing to say, the source refuses, a part of it does nothing", async () => {
  const script = join(ROOT, "scripts/install.sh");
  const env = { PATH, HOME: "/nonexistent" };
  const lint = await runToEnd(["/usr/bin/shellcheck", script], { env });
  assert.deepEqual([lint.code, lint.stdout], [0, ""]);
  assert.match(
    (await runToEnd(["/bin/sh", script], { env })).stderr,
    /this is the script's source/,
  );
  const text = await Deno.readTextFile(script);
  for (const at of [0.3, 0.6, 0.9]) {
    const cut = text.slice(0, Math.floor(text.length * at));
    const { stdout } = await runToEnd(["/bin/sh", "-c", cut], { env });
    assert.equal(stdout, "");
  }
});

Deno.test("install.sh: a ~/.curlrc that switches certificates off does not", async () => {
  const { pkcs8: _, ...authority } = await makeAuthority(new Date());
  const spki = new X509Certificate(toPem("CERTIFICATE", authority.certificate))
    .publicKey.export({ type: "spki", format: "der" });
  const leaf = await issue(authority, new Uint8Array(spki), ["localhost"], new Date());
  let asked = 0;
  const impostor = Deno.serve({
    ...{ hostname: "127.0.0.1", port: 0, onListen() {} },
    cert: toPem("CERTIFICATE", leaf.certificate),
    key: toPem("PRIVATE KEY", leaf.pkcs8),
  }, () => {
    asked++;
    return new Response("a lie");
  });
  const home = await Deno.makeTempDir({ prefix: "secllama-curlrc-" });
  try {
    const env = { PATH, HOME: home };
    await Deno.writeTextFile(join(home, ".curlrc"), "insecure\n");
    const url = `https://localhost:${impostor.addr.port}`;
    const plain = await runToEnd(["/usr/bin/curl", "-s", `${url}/x`], { env });
    assert.deepEqual([plain.stdout, asked], ["a lie", 1], "positive control");
    const source = await Deno.readTextFile(join(ROOT, "scripts/install.sh"));
    const script = join(home, "install.sh");
    await Deno.writeTextFile(script, source.replace("@VERSION@", "1").replace("@URL@", url));
    const { code, stderr } = await runToEnd(["/bin/sh", script], { env });
    assert.match(stderr, /cannot download \S+\/SHA256SUMS/);
    assert.deepEqual([code, asked], [1, 1]);
  } finally {
    await impostor.shutdown();
    await Deno.remove(home, { recursive: true });
  }
});
