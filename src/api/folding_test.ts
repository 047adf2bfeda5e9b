import assert from "node:assert/strict";
import { folded, foldedWords } from "./folding.ts";

/**
 * What Python's unicodedata makes of it: letters that match are in one list, each list once. Then texts, each in several cases and
 * forms of Unicode. In the file's order, so that both are of its Unicode.
 */
const ORACLE = String.raw`
import json, random, re, sys, unicodedata
normalize = unicodedata.normalize
def fold(text):
    text = normalize("NFKD", normalize("NFD", text).casefold())
    return re.sub("[\u0300-\u036f]", "", normalize("NFKD", text.casefold()))
step, texts = int(sys.argv[1]), int(sys.argv[2])
groups = {}
for code in range(0x110000):
    if 0xd800 <= code < 0xe000: continue
    letter = chr(code)
    if unicodedata.category(letter) in ("Cn", "Co"): continue
    groups.setdefault(fold(letter), []).append(letter)
shared = [letters for letters in groups.values() if len(letters) > 1]
alone = [letters for letters in groups.values() if len(letters) == 1][::step]
source = random.Random(7)
several = [letter for letters in shared for letter in letters]
made = []
for _ in range(texts):
    text = "".join(source.choice(several) for _ in range(source.randrange(1, 12)))
    made.append([text, text.upper(), text.lower(), text.casefold(), text.swapcase()] +
        [normalize(form, text) for form in ("NFC", "NFD", "NFKC", "NFKD")])
json.dump({"lists": shared + alone, "texts": made}, sys.stdout)
`;

/** Undefined where there is no Python; then it says so. */
async function asked(
  step: number,
  texts: number,
): Promise<{ lists: string[][]; texts: string[][] } | undefined> {
  try {
    const { success, stdout, stderr } = await new Deno.Command("python3", {
      args: ["-c", ORACLE, String(step), String(texts)],
      env: { PYTHONIOENCODING: "ascii" },
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    return JSON.parse(new TextDecoder().decode(stdout));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.error("SKIPPED folding against Python's: there is no python3");
    return undefined;
  }
}

Deno.test("folding: letters match if Unicode says so, and no others but i without a dot", async () => {
  const full = Boolean(Deno.env.get("SECLLAMA_FULL"));
  const made = await asked(full ? 1 : 100, full ? 20_000 : 1000);
  if (made === undefined) return;
  assert.ok(made.lists.length > (full ? 130_000 : 3000), String(made.lists.length));
  const names = (letters: readonly string[]) =>
    letters.map((letter) => letter.codePointAt(0)!.toString(16)).join(" ");
  const seen = new Map<string, string[]>();
  const merged: string[] = [];
  for (const letters of made.lists) {
    const forms = new Set(letters.map(folded));
    assert.equal(forms.size, 1, `not one: ${names(letters)}`);
    const [form] = forms;
    assert.equal(folded(form!), form, `not the same again: ${names(letters)}`);
    if (seen.has(form!)) merged.push(form!);
    seen.set(form!, letters);
  }
  assert.deepEqual(merged, ["i"]);
  for (const forms of made.texts) {
    assert.equal(new Set(forms.map(folded)).size, 1, forms.map((form) => names([...form])).join());
  }
});

Deno.test("folding: words as people write them find each other, and letters that differ do not", () => {
  for (
    const [asked, written] of [
      ["STRASSE", "Straße"],
      ["strasse", "STRAẞE"],
      ["istanbul", "İSTANBUL"],
      ["DIŞ", "dış"],
      ["Αθηνα", "ΑΘΉΝΑ"],
      ["οδος", "ΟΔΌΣ"],
      ["naive", "NAÏVE"],
      ["ﬁnal", "FINAL"],
      ["елка", "Ёлка"],
      ["ｶﾞ", "ガ"],
      ["한글", "한글"],
    ] as const
  ) assert.equal(folded(asked), folded(written), asked);
  // A mark that is no accent makes another letter of it.
  for (const [one, other] of [["か", "が"], ["ह", "हि"], ["ש", "שׁ"]] as const) {
    assert.notEqual(folded(one), folded(other), one);
  }
  assert.deepEqual(foldedWords("Übung-2: हिन्दी, ΟΔΌΣ!"), ["ubung", "2", "हिन्दी", "οδοσ"]);
});
