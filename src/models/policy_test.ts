/** Only approved models: every way in which one is not, and the tools that others sign with. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { fromBase64, toBase64, utf8, utf8Decode } from "../bytes.ts";
import { code } from "../keys/testing.ts";
import { layerType, type Manifest, MANIFEST_TYPE } from "./manifest.ts";
import { ModelPolicy } from "./policy.ts";
import { readSigner, signFiles, verifyBundle } from "./signing.ts";

const sha = (text: string) => createHash("sha256").update(text).digest("hex");

function manifest(...parts: readonly ["model" | "adapter" | "projector" | "system", string][]) {
  return {
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: { mediaType: "x", digest: `sha256:${sha("config")}`, size: 1 },
    layers: parts.map(([kind, text]) => ({
      mediaType: layerType(kind),
      digest: `sha256:${sha(text)}`,
      size: 1,
    })),
  } satisfies Manifest;
}

async function openssl(folder: string, ...args: string[]): Promise<void> {
  const done = await new Deno.Command("/usr/bin/openssl", { args, cwd: folder, stderr: "piped" })
    .output();
  assert.equal(done.code, 0, `${args.join(" ")}: ${new TextDecoder().decode(done.stderr)}`);
}

async function makeKey(folder: string, name: string, curve = "prime256v1") {
  await openssl(folder, "ecparam", "-genkey", "-name", curve, "-noout", "-out", `${name}.pem`);
  await openssl(folder, "ec", "-in", `${name}.pem`, "-pubout", "-out", `${name}.pub`);
  const read = (file: string) => Deno.readTextFile(join(folder, file));
  return { key: await read(`${name}.pem`), pub: await read(`${name}.pub`) };
}

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("policy: a model is let in by its digest, or by all of its weights', and no other", () =>
  withFolder(async (folder) => {
    const path = join(folder, "policy.json");
    const write = (allow: unknown) =>
      Deno.writeTextFile(path, JSON.stringify({ version: 1, allow }));
    const policy = new ModelPolicy(path);
    const seeing = manifest(["model", "a"], ["projector", "p"], ["system", "s"]);
    const check = (name: string, manifestDigest = sha("m")) =>
      code(
        policy.check({ name, manifest: seeing, manifestDigest }, () => Promise.resolve(undefined)),
      );
    assert.equal(await check("demo:latest"), "bad-config", "no policy approves nothing");
    await write([{ names: ["demo"], digests: [`sha256:${sha("a")}`, `sha256:${sha("p")}`] }]);
    assert.equal(await check("demo:latest"), "ok");
    assert.equal(await check("demo:v2"), "ok");
    assert.equal(await check("demo2:latest"), "model-not-approved");
    // Of two parts one is not enough.
    await write([{ names: ["demo"], digests: [`sha256:${sha("a")}`] }]);
    assert.equal(await check("demo:latest"), "model-not-approved");
    for (const digest of [`sha256:${sha("m")}`, sha("m")]) {
      await write([{ names: ["*"], digests: [digest] }]);
      assert.equal(await check("anything/at/all:x"), "ok");
    }
    assert.equal(await check("anything/at/all:x", sha("other")), "model-not-approved");
    for (
      const text of [
        "{",
        "[]",
        '{"version":2,"allow":[]}',
        '{"version":1,"allow":[{"names":["a"]}]}',
        '{"version":1,"allow":[{"names":[],"digests":["sha256:00"]}]}',
        `{"version":1,"allow":[{"names":["a"],"digests":["${sha("a")}"],"deny":true}]}`,
        '{"version":1,"allow":[{"names":["a"],"signers":["/not/there.pem"]}]}',
        '{"version":1,"allow":[{"names":["a"],"signers":["-----BEGIN PUBLIC KEY-----"]}]}',
      ]
    ) {
      await Deno.writeTextFile(path, text);
      assert.equal(await check("demo:latest"), "bad-config", text);
    }
  }));

Deno.test("policy: what an older policy let in, while it was read anew, the newer one does not know as let in", () =>
  withFolder(async (folder) => {
    const { key, pub } = await makeKey(folder, "signer");
    const path = join(folder, "policy.json");
    const write = (allow: unknown) =>
      Deno.writeTextFile(path, JSON.stringify({ version: 1, allow }));
    const policy = new ModelPolicy(path);
    const model = { name: "demo:latest", manifest: manifest(["model", "a"]), manifestDigest: "m" };
    const bundle = utf8(signFiles("m", [{ name: "a", sha256: sha("a") }], key));
    await write([{ names: ["*"], signers: [pub] }]);
    const [asked, found] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const slow = policy.check(model, async () => {
      asked.resolve();
      await found.promise;
      return bundle;
    });
    await asked.promise;
    await write([{ names: ["*"], digests: [`sha256:${sha("another")}`] }]);
    const check = () => code(policy.check(model, () => Promise.resolve(bundle)));
    assert.equal(await check(), "model-not-approved");
    found.resolve();
    await slow;
    assert.equal(await check(), "model-not-approved");
  }));

Deno.test("policy: a signer whose file has another key, or is gone, vouches for nothing more", () =>
  withFolder(async (folder) => {
    const [old, next] = [await makeKey(folder, "old"), await makeKey(folder, "next")];
    const [path, signer] = [join(folder, "policy.json"), join(folder, "signer.pem")];
    await Deno.writeTextFile(signer, old.pub);
    await Deno.writeTextFile(
      path,
      JSON.stringify({ version: 1, allow: [{ names: ["*"], signers: [signer] }] }),
    );
    const policy = new ModelPolicy(path);
    const model = { name: "demo:latest", manifest: manifest(["model", "a"]), manifestDigest: "m" };
    const check = (by: { key: string }) => {
      const bundle = utf8(signFiles("m", [{ name: "a", sha256: sha("a") }], by.key));
      return code(policy.check(model, () => Promise.resolve(bundle)));
    };
    assert.deepEqual([await check(old), await check(old)], ["ok", "ok"]);
    await Deno.writeTextFile(`${signer}.new`, next.pub);
    await Deno.rename(`${signer}.new`, signer);
    assert.deepEqual([await check(old), await check(next)], ["model-not-approved", "ok"]);
    await Deno.remove(signer);
    assert.equal(await check(next), "bad-config");
    await Deno.writeTextFile(signer, old.pub);
    assert.equal(await check(old), "ok");
  }));

Deno.test("policy: who signed a model's weights, with bare keys of three curves; each change is noticed", () =>
  withFolder(async (folder) => {
    const stranger = await makeKey(folder, "stranger");
    const files = [{ name: "b.gguf", sha256: sha("b") }, { name: "a.gguf", sha256: sha("a") }];
    for (const curve of ["prime256v1", "secp384r1", "secp521r1"]) {
      const { key, pub } = await makeKey(folder, "signer", curve);
      const bundle = utf8(signFiles("m", files, key));
      const signer = readSigner(pub);
      assert.deepEqual(
        verifyBundle(bundle, [readSigner(stranger.pub), signer]).map(({ name }) => name),
        ["a.gguf", "b.gguf"],
      );
      assert.throws(() => verifyBundle(bundle, [readSigner(stranger.pub)]), {
        code: "model-not-approved",
      });
      // Each byte of what was signed, and of the signature.
      const document = JSON.parse(utf8Decode(bundle));
      const { dsseEnvelope } = document;
      const changed = (field: "payload" | "sig", at: number) => {
        const copy = structuredClone(document);
        const where = field === "payload" ? copy.dsseEnvelope : copy.dsseEnvelope.signatures[0];
        const bytes = fromBase64(where[field]);
        bytes[at % bytes.length]! ^= 1;
        where[field] = toBase64(bytes);
        return utf8(JSON.stringify(copy));
      };
      const length = fromBase64(dsseEnvelope.payload).length;
      for (let at = 0; at < length; at += 7) {
        assert.throws(() => verifyBundle(changed("payload", at), [signer]));
      }
      for (let at = 0; at < 8; at++) {
        assert.throws(() => verifyBundle(changed("sig", at * 9), [signer]));
      }
    }
    const { key, pub } = await makeKey(folder, "signer");
    const path = join(folder, "policy.json");
    await Deno.writeTextFile(
      path,
      JSON.stringify({
        version: 1,
        allow: [{ names: ["m*"], signers: [join(folder, "signer.pub"), pub] }],
      }),
    );
    const policy = new ModelPolicy(path);
    const check = (weights: string, bundle: string | undefined, name = "m:latest") =>
      code(policy.check(
        { name, manifest: manifest(["model", weights]), manifestDigest: sha(weights + name) },
        () => Promise.resolve(bundle === undefined ? undefined : utf8(bundle)),
      ));
    const good = signFiles("m", files, key);
    assert.equal(await check("a", undefined), "model-not-approved");
    assert.equal(await check("a", signFiles("m", files, stranger.key)), "model-not-approved");
    assert.equal(await check("c", good), "model-not-approved", "another file's signature");
    assert.equal(await check("a", "{}"), "model-not-approved");
    assert.equal(await check("a", good, "n:latest"), "model-not-approved");
    assert.equal(await check("a", good), "ok");
  }));

Deno.test("policy: certificates: for code signing, now, and from the authority that is named", () =>
  withFolder(async (folder) => {
    const read = (file: string) => Deno.readTextFile(join(folder, file));
    const ca = async (name: string) => {
      await openssl(
        folder,
        ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
        ...["-days", "30", "-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.crt`],
      );
    };
    const leaf = async (name: string, issuer: string, usage: string) => {
      await makeKey(folder, name);
      await openssl(
        folder,
        "req",
        "-new",
        "-key",
        `${name}.pem`,
        "-subj",
        `/CN=${name}`,
        "-out",
        `${name}.csr`,
      );
      await Deno.writeTextFile(join(folder, "ext"), usage);
      await openssl(
        folder,
        ...[
          "x509",
          "-req",
          "-in",
          `${name}.csr`,
          "-CA",
          `${issuer}.crt`,
          "-CAkey",
          `${issuer}.key`,
        ],
        ...["-days", "10", "-extfile", "ext", "-out", `${name}.crt`],
      );
    };
    await ca("firm");
    await ca("other");
    await leaf("signer", "firm", "basicConstraints=CA:FALSE\nextendedKeyUsage=codeSigning");
    await leaf("web", "firm", "basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth");
    const files = [{ name: "a", sha256: sha("a") }];
    const by = async (name: string) =>
      utf8(signFiles("m", files, await read(`${name}.pem`), await read(`${name}.crt`)));
    const [firm, other] = [readSigner(await read("firm.crt")), readSigner(await read("other.crt"))];
    assert.equal(verifyBundle(await by("signer"), [firm]).length, 1);
    const refused = { code: "model-not-approved" };
    const bundles = { signer: await by("signer"), web: await by("web") };
    assert.throws(() => verifyBundle(bundles.signer, [other]), refused);
    assert.throws(() => verifyBundle(bundles.web, [firm]), refused);
    const later = new Date(Date.now() + 11 * 86_400_000);
    assert.throws(() => verifyBundle(bundles.signer, [firm], later), refused);
    // Another's key under the signer's certificate.
    const stolen = utf8(signFiles("m", files, await read("web.pem"), await read("signer.crt")));
    assert.throws(() => verifyBundle(stolen, [firm]), refused);
  }));

Deno.test("policy: an authority vouches for as many below it as its certificate says: as OpenSSL has it", () =>
  withFolder(async (folder) => {
    const read = (file: string) => Deno.readTextFile(join(folder, file));
    const ca = "basicConstraints=critical,CA:TRUE";
    /** What a certificate may say. The first two vouch for somebody, always. */
    const kinds = {
      open: ca,
      signs: `${ca}\nkeyUsage=critical,keyCertSign,digitalSignature`,
      one: `${ca},pathlen:1`,
      none: `${ca},pathlen:0`,
      only: `${ca}\nkeyUsage=critical,digitalSignature`,
      leaf: "basicConstraints=CA:FALSE\nextendedKeyUsage=codeSigning",
    };
    type Kind = keyof typeof kinds;
    /** Made by `issuer`; undefined: by itself. Returns its name. */
    const made = async (kind: Kind, issuer?: string): Promise<string> => {
      const name = issuer === undefined ? kind : `${issuer}-${kind}`;
      if (await Deno.stat(join(folder, `${name}.crt`)).catch(() => undefined)) return name;
      await makeKey(folder, name);
      const key = ["-key", `${name}.pem`, "-subj", `/CN=${name}`];
      await openssl(folder, "req", "-new", ...key, "-out", `${name}.csr`);
      await Deno.writeTextFile(join(folder, "ext"), kinds[kind]);
      const by = issuer === undefined
        ? ["-signkey", `${name}.pem`]
        : ["-CA", `${issuer}.crt`, "-CAkey", `${issuer}.pem`];
      await openssl(
        folder,
        ...["x509", "-req", "-in", `${name}.csr`, ...by, "-days", "5", "-extfile", "ext"],
        ...["-out", `${name}.crt`],
      );
      return name;
    };
    const opinions: Record<string, number> = { true: 0, false: 0 };
    const chains: readonly (readonly Kind[])[] = Deno.env.get("SECLLAMA_FULL") === "1"
      ? ["open", "one", "none", "only"].flatMap((root) =>
        [[], ["signs"], ["none"], ["only"], ["one", "open"], ["open", "none"], ["none", "open"]]
          .map((middle) => [root, ...middle] as Kind[])
      )
      : [["open", "signs"], ["one", "open"], ["none"], ["none", "open"], ["open", "only"]];
    for (const chain of chains) {
      let name: string | undefined;
      const names: string[] = [];
      for (const kind of [...chain, "leaf"] as const) names.push(name = await made(kind, name));
      const [root, leaf] = [names[0]!, names.at(-1)!];
      const middle = (await Promise.all(names.slice(1, -1).map((one) => read(`${one}.crt`)))).join(
        "",
      );
      await Deno.writeTextFile(join(folder, "middle.crt"), middle);
      const verified = await new Deno.Command("openssl", {
        args: [
          ...["verify", "-CAfile", `${root}.crt`],
          ...(middle === "" ? [] : ["-untrusted", "middle.crt"]),
          `${leaf}.crt`,
        ],
        cwd: folder,
        stdout: "null",
        stderr: "null",
      }).output();
      const certificates = `${await read(`${leaf}.crt`)}${
        (await Promise.all(names.slice(1, -1).reverse().map((one) => read(`${one}.crt`)))).join("")
      }`;
      const bundle = utf8(
        signFiles("m", [{ name: "a", sha256: sha("a") }], await read(`${leaf}.pem`), certificates),
      );
      let ours = true;
      try {
        verifyBundle(bundle, [readSigner(await read(`${root}.crt`))]);
      } catch {
        ours = false;
      }
      assert.equal(ours, verified.success, names.join(" → "));
      opinions[String(ours)]!++;
    }
    assert.ok(opinions["true"]! > 1 && opinions["false"]! > 1, "control: some of each");
  }));
