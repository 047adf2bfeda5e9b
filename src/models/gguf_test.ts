import assert from "node:assert/strict";
import { concat, utf8 } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { describeModel } from "./describe.ts";
import { GGUF_LIMITS, type GgufHeader, readGgufHeader } from "./gguf.ts";
import {
  type GgufParts,
  key,
  keyArray,
  keyStr,
  keyU32,
  makeGguf,
  str,
  tensor,
  u32,
  u64,
  usualKeys,
} from "./testing.ts";
import { TENSOR_TYPES, VALUE } from "./gguf_types.ts";

const DEMO = new URL("../../models/demo.gguf", import.meta.url).pathname;

/** The file must be refused, with the one error a caller may rely on. */
async function refuses(bytes: Uint8Array, reason: RegExp) {
  await assert.rejects(
    async () => describeModel(await readGgufHeader(bytes)),
    (error) => {
      assert.ok(error instanceof SecLlamaError, String(error));
      assert.equal(error.code, "bad-model");
      assert.match(error.message, reason);
      assert.ok(error.hint);
      return true;
    },
  );
}
const refusesParts = (parts: GgufParts, reason: RegExp) => refuses(makeGguf(parts), reason);
const withKeys = (replace: Record<string, Uint8Array<ArrayBuffer> | null>): GgufParts => ({
  keys: usualKeys(replace),
});

Deno.test("gguf: the demo model is read from a path, a file and bytes alike", async () => {
  using file = await Deno.open(DEMO);
  const headers: GgufHeader[] = [
    await readGgufHeader(DEMO),
    await readGgufHeader(file),
    await readGgufHeader(await Deno.readFile(DEMO)),
  ];
  assert.deepEqual(headers[0], headers[1]);
  assert.deepEqual(headers[0], headers[2]);
  const details = describeModel(headers[0]!);
  assert.equal(details.architecture, "llama");
  assert.equal(details.quantization, "Q8_0");
  assert.equal(details.parameterCount, headers[0]!.parameterCount);
  assert.ok(details.chatTemplate?.includes("<|im_start|>"));
  assert.deepEqual(details.capabilities, ["completion"]);
  assert.ok(details.contextLength > 0 && details.embeddingLength > 0);
});

Deno.test("gguf: the made file is accepted, so each refusal below has one cause", async () => {
  const header = await readGgufHeader(makeGguf());
  assert.equal(header.parameterCount, 32);
  assert.equal(header.dataOffset % 32, 0);
  const details = describeModel(header);
  assert.equal(details.quantization, "F32");
  assert.equal(details.contextLength, 64);
  assert.equal(details.chatTemplate, undefined);
});

Deno.test("gguf: a header larger than the reader's chunk, and a string across its edge", async () => {
  const long = "x".repeat(300_000);
  const tokens = Array.from({ length: 20_000 }, (_, i) => str(`some long token ${i}`));
  const header = await readGgufHeader(makeGguf({
    keys: [
      ...usualKeys({
        "tokenizer.ggml.tokens": keyArray(
          "tokenizer.ggml.tokens",
          VALUE.string,
          tokens.length,
          ...tokens,
        ),
      }),
      keyStr("tokenizer.chat_template", long),
      keyStr("too.long", "y".repeat(GGUF_LIMITS.keptStringBytes + 1)),
      keyU32("last", 99),
    ],
  }));
  assert.equal(header.metadata.get("tokenizer.chat_template"), long);
  assert.equal(header.metadata.get("too.long"), null);
  assert.equal(header.metadata.get("last"), 99);
  assert.equal(header.arrays.get("tokenizer.ggml.tokens")?.count, 20_000);
});

Deno.test("gguf: a 4-byte file (CVE-2024-39720), an empty one, and every truncation of the header", async () => {
  await refuses(new Uint8Array(), /shorter than a header/);
  await refuses(utf8("GGUF"), /shorter than a header/);
  const whole = makeGguf();
  for (let n = 0; n < whole.length; n++) {
    await refuses(whole.subarray(0, n), /shorter|ends within|past the end|tensors end at/);
  }
});

Deno.test("gguf: magic, version and byte order", async () => {
  await refusesParts({ magic: "GGML" }, /does not begin with GGUF/);
  await refusesParts({ version: 0 }, /version 0|big-endian/);
  await refusesParts({ version: 1 }, /version 1 is not 2 or 3/);
  await refusesParts({ version: 4 }, /version 4 is not 2 or 3/);
  await refusesParts({ version: 0x03000000 }, /big-endian/);
  await readGgufHeader(makeGguf({ version: 2 }));
});

Deno.test("gguf: counts from the file allocate nothing (CVE-2026-7482, CVE-2024-12886)", async () => {
  const before = Deno.memoryUsage().rss;
  for (const count of [2n ** 63n, 2n ** 64n - 1n, 2n ** 40n, 1_000_000n]) {
    await refusesParts({ keyCount: count }, /list of keys reaches past the end/);
    await refusesParts({ tensorCount: count }, /list of tensors reaches past the end/);
    await refusesParts(
      { keys: [keyArray("a", VALUE.string, count), ...usualKeys()] },
      /array "a" reaches past the end/,
    );
    await refusesParts(
      { keys: [keyArray("a", VALUE.u8, count), ...usualKeys()] },
      /array "a" reaches past the end/,
    );
    await refusesParts(
      { keys: [key("a", VALUE.string, u64(count)), ...usualKeys()] },
      /value of "a" reaches past the end/,
    );
    await refusesParts({ keys: [concat(u64(count), utf8("k"))] }, /a key reaches past the end/);
  }
  assert.ok(Deno.memoryUsage().rss - before < 64 * 1024 * 1024);
});

Deno.test("gguf: alignment 0 and other impossible alignments (CVE-2025-0317)", async () => {
  const align = (n: number) => ({ keys: [...usualKeys(), keyU32("general.alignment", n)] });
  for (const n of [0, 1, 3, 4, 33, 0x80000000, 0xffffffff]) {
    await refusesParts(align(n), /alignment .* is not a power of two/);
  }
  const wrongType = key("general.alignment", VALUE.u64, u64(32));
  await refusesParts({ keys: [...usualKeys(), wrongType] }, /alignment is not a 32-bit integer/);
  await readGgufHeader(makeGguf({ ...align(64), alignment: 64 }));
});

Deno.test("gguf: block count 0 and other impossible shapes of a model (CVE-2024-8063)", async () => {
  for (const name of ["block_count", "context_length", "embedding_length"]) {
    const full = `llama.${name}`;
    await refusesParts(withKeys({ [full]: keyU32(full, 0) }), new RegExp(`its ${name} is not`));
    await refusesParts(withKeys({ [full]: null }), new RegExp(`its ${name} is not`));
    await refusesParts(withKeys({ [full]: keyU32(full, 0xffffffff) }), new RegExp(`its ${name}`));
    await refusesParts(withKeys({ [full]: keyStr(full, "8") }), new RegExp(`its ${name} is not`));
  }
  const heads = "llama.attention.head_count";
  await refusesParts(withKeys({ [heads]: keyU32(heads, 0) }), /head_count is not/);
  await refusesParts(withKeys({ [heads]: keyU32(heads, 1000) }), /more attention heads/);
  const kv = "llama.attention.head_count_kv";
  await refusesParts(withKeys({ [kv]: keyU32(kv, 3) }), /head_count_kv/);
});

Deno.test("gguf: null and wrong arrays of the tokenizer (CVE-2025-0312, CVE-2025-0315)", async () => {
  const name = "tokenizer.ggml.tokens";
  await refusesParts(withKeys({ [name]: keyArray(name, VALUE.string, 0) }), /has no tokens/);
  await refusesParts(withKeys({ [name]: null }), /has no tokens/);
  await refusesParts(withKeys({ [name]: keyU32(name, 5) }), /has no tokens/);
  await refusesParts(
    withKeys({ [name]: keyArray(name, VALUE.u32, 2, u32(1), u32(2)) }),
    /has no tokens/,
  );
  const nested = concat(u32(VALUE.u8), u64(0));
  await refusesParts(withKeys({ [name]: keyArray(name, VALUE.array, 1, nested) }), /unusable type/);
  const scores = "tokenizer.ggml.scores";
  await refusesParts(
    withKeys({ [scores]: keyArray(scores, VALUE.f32, 1, u32(0)) }),
    /scores does not match the tokens/,
  );
  await refusesParts(
    withKeys({ [scores]: keyArray(scores, VALUE.u8, 2, utf8("ab")) }),
    /scores does not match the tokens/,
  );
  const merges = "tokenizer.ggml.merges";
  await refusesParts(withKeys({ [merges]: keyU32(merges, 1) }), /merges is not a list/);
});

Deno.test("gguf: a tensor past the end of the file, which leaked heap (CVE-2024-39720, 2026-7482)", async () => {
  await refusesParts({ tensors: [tensor("t", [8, 5], 0, 0)] }, /tensors end at byte/);
  await refusesParts({ dataBytes: 127 }, /tensors end at byte/);
  await refusesParts({ tensors: [tensor("t", [2n ** 20n, 2n ** 20n], 0, 0)] }, /tensors end at/);
  await refusesParts({ tensors: [tensor("t", [8, 4], 0, 32)] }, /not where the one before it ends/);
  await refusesParts(
    { tensors: [tensor("t", [8, 4], 0, 2n ** 64n - 32n)] },
    /not where the one before it ends/,
  );
  // Overlapping tensors, each inside the file.
  await refusesParts(
    { tensors: [tensor("a", [8], 0, 0), tensor("b", [8], 0, 0)] },
    /not where the one before it ends/,
  );
});

Deno.test("gguf: shapes that overflow, are zero, or do not fit the block of their type", async () => {
  for (
    const shape of [[2n ** 63n], [2n ** 32n, 2n ** 32n], [2n ** 21n, 2n ** 21n, 2n ** 21n, 2n]]
  ) {
    await refusesParts({ tensors: [tensor("t", shape, 0, 0)] }, /impossible shape/);
  }
  await refusesParts({ tensors: [tensor("t", [0, 4], 0, 0)] }, /impossible shape/);
  await refusesParts({ tensors: [tensor("t", [1, 1, 1, 1, 1], 0, 0)] }, /has 5 dimensions/);
  await refusesParts(
    { tensors: [concat(str("t"), u32(0xffffffff), u32(0), u64(0))] },
    /has 4294967295 dimensions/,
  );
  await refusesParts({ tensors: [tensor("t", [31], 8, 0)] }, /not whole blocks/);
  for (const type of [4, 5, 31, 36, 43, 255, 0xffffffff]) {
    await refusesParts({ tensors: [tensor("t", [32], type, 0)] }, /unknown type/);
  }
});

Deno.test("gguf: names twice, empty, too long, not UTF-8, with a zero byte", async () => {
  await refusesParts({ keys: [keyU32("a", 1), keyU32("a", 2)] }, /key "a" occurs twice/);
  const twice = [tensor("a", [8], 0, 0), tensor("a", [8], 0, 32)];
  await refusesParts({ tensors: twice }, /tensor "a" occurs twice/);
  await refusesParts({ keys: [keyU32("", 1)] }, /a key is 0 bytes long/);
  await refusesParts({ tensors: [tensor("n".repeat(64), [8], 0, 0)] }, /name is 64 bytes long/);
  await refusesParts({ keys: [keyU32("a\0b", 1)] }, /zero byte/);
  const broken = concat(u64(2), Uint8Array.of(0xc3, 0x28), u32(VALUE.u32), u32(1));
  await refusesParts({ keys: [broken] }, /not UTF-8/);
  await refusesParts({ keys: [keyU32("k".repeat(70_000), 1)] }, /a key is 70000 bytes long/);
  await refusesParts({ keys: [key("a", 13, u32(0))] }, /unknown type 13/);
});

Deno.test("gguf: well-formed files that are no model are named for what they are", async () => {
  const arch = "general.architecture";
  await refusesParts(withKeys({ [arch]: null }), /names no architecture/);
  await refusesParts(withKeys({ [arch]: keyStr(arch, "../../x") }), /names no architecture/);
  await refusesParts(withKeys({ [arch]: keyStr(arch, "clip") }), /projector/);
  await refusesParts(withKeys({ "general.type": keyStr("general.type", "adapter") }), /adapter/);
  await refusesParts(withKeys({ "split.count": keyU32("split.count", 3) }), /one of 3 parts/);
  await refusesParts({ tensors: [] }, /holds no weights/);
  const kind = "tokenizer.ggml.model";
  await refusesParts(withKeys({ [kind]: keyStr(kind, "no_vocab") }), /holds no tokenizer/);
});

Deno.test("gguf: not a regular file is refused without opening it (CVE-2024-39721)", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const fifo = `${folder}/fifo`;
    assert.ok((await new Deno.Command("mkfifo", { args: [fifo] }).output()).success);
    for (const path of ["/dev/zero", "/dev/random", folder, fifo]) {
      await assert.rejects(readGgufHeader(path), {
        code: "bad-model",
        message: /not a regular file/,
      });
    }
    await assert.rejects(readGgufHeader(`${folder}/none.gguf`), {
      code: "model-store-unreadable",
      message: /no such file/,
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("gguf: the table of tensor types is that of the installed engine", async () => {
  const library = await findLibrary("libggml-base.so");
  if (!library) {
    console.log("SKIP: node-llama-cpp's libggml-base.so is not installed");
    return;
  }
  const ggml = Deno.dlopen(library, {
    ggml_blck_size: { parameters: ["i32"], result: "i64" },
    ggml_type_size: { parameters: ["i32"], result: "usize" },
    ggml_type_name: { parameters: ["i32"], result: "pointer" },
  });
  try {
    for (const [number, type] of TENSOR_TYPES) {
      const name = ggml.symbols.ggml_type_name(number);
      assert.ok(name);
      assert.equal(new Deno.UnsafePointerView(name).getCString().toUpperCase(), type.name);
      assert.equal(Number(ggml.symbols.ggml_blck_size(number)), type.block, type.name);
      assert.equal(Number(ggml.symbols.ggml_type_size(number)), type.bytes, type.name);
    }
  } finally {
    ggml.close();
  }
});

async function findLibrary(file: string): Promise<string | undefined> {
  if (Deno.build.os !== "linux") return undefined;
  const arch = Deno.build.arch === "x86_64" ? "linux-x64" : "linux-arm64";
  const base = new URL("../../node_modules/.deno/", import.meta.url).pathname;
  try {
    for await (const entry of Deno.readDir(base)) {
      if (!entry.name.startsWith(`@node-llama-cpp+${arch}@`)) continue;
      const path = `${base}${entry.name}/node_modules/@node-llama-cpp/${arch}/bins/${arch}/${file}`;
      if ((await Deno.stat(path).catch(() => undefined))?.isFile) return path;
    }
  } catch {
    return undefined;
  }
  return undefined;
}

Deno.test("gguf: a token that is twice in the vocabulary is refused by name", async () => {
  const tokens = (...texts: string[]) =>
    withKeys({
      "tokenizer.ggml.tokens": keyArray(
        "tokenizer.ggml.tokens",
        VALUE.string,
        texts.length,
        ...texts.map(str),
      ),
    });
  await refusesParts(tokens("a", "b", "a"), /^the token "a" is twice in its vocabulary$/);
  await refusesParts(tokens("▁the", "x", "\n", "▁the"), /^the token "\?the" is twice/);
  const many = Array.from({ length: 3000 }, (_, at) => `token ${at}`);
  await refusesParts(tokens(...many, "token 7"), /"token 7" is twice/);
  const long = "x".repeat(3000);
  await refusesParts(tokens(long + "1", long + "2", long + "1"), /is twice/);
  // llama.cpp gives tokens without a text names of their own.
  for (const texts of [["a", "", "b", ""], many, [long + "1", long + "2"], ["a", "A", "á"]]) {
    describeModel(await readGgufHeader(makeGguf(tokens(...texts))));
  }
});

Deno.test("gguf: numbers of other types than llama.cpp reads are found", async () => {
  const i64 = (value: number) => new Uint8Array(new BigInt64Array([BigInt(value)]).buffer);
  const of = async (replace: Record<string, Uint8Array<ArrayBuffer> | null>) =>
    describeModel(await readGgufHeader(makeGguf(withKeys(replace))));
  assert.deepEqual((await of({})).retyped, []);
  const details = await of({
    "llama.context_length": key("llama.context_length", VALUE.u64, u64(64)),
    "general.file_type": key("general.file_type", VALUE.i32, u32(7)),
    "llama.rope.freq_base": key(
      "llama.rope.freq_base",
      VALUE.f64,
      new Uint8Array(new Float64Array([1e6]).buffer),
    ),
    "llama.vocab_size": key("llama.vocab_size", VALUE.i64, i64(2)),
    "tokenizer.ggml.bos_token_id": key("tokenizer.ggml.bos_token_id", VALUE.i32, u32(1)),
    // Not llama.cpp's, or no number that it could take.
    "own.number": key("own.number", VALUE.i32, u32(1)),
    "llama.negative": key("llama.negative", VALUE.i64, i64(-1)),
    "llama.huge": key("llama.huge", VALUE.u64, u64(2n ** 60n)),
  });
  assert.deepEqual(details.retyped, [
    { key: "general.file_type", kind: "int", value: 7 },
    { key: "llama.context_length", kind: "int", value: 64 },
    { key: "llama.rope.freq_base", kind: "float", value: 1e6 },
    { key: "llama.vocab_size", kind: "int", value: 2 },
    { key: "tokenizer.ggml.bos_token_id", kind: "int", value: 1 },
  ]);
  assert.equal(details.contextLength, 64);
  assert.equal(details.quantization, "Q8_0");
});
