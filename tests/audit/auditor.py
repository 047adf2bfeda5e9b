"""Checks an export of the audit log, or the proof of a line, with nothing of ours: Python's standard library and cryptography.

    auditor.py KEY.pem EXPORT.jsonl | PROOF.json ...      prints what holds; exit status 1 if anything does not
"""
import base64, hashlib, json, sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key


def cbor(b, i=0):
    """One item of RFC 8949, of the kinds that a COSE_Sign1 of ours has, and where it ends."""
    major, n, i = b[i] >> 5, b[i] & 31, i + 1
    if n >= 24:
        size = 1 << (n - 24)
        n, i = int.from_bytes(b[i:i + size], "big"), i + size
    if major == 0: return n, i
    if major == 1: return -1 - n, i
    if major in (2, 3):
        return (b[i:i + n] if major == 2 else b[i:i + n].decode()), i + n
    if major == 4:
        items = []
        for _ in range(n):
            item, i = cbor(b, i)
            items.append(item)
        return items, i
    if major == 5:
        found = {}
        for _ in range(n):
            key, i = cbor(b, i)
            found[key], i = cbor(b, i)
        return found, i
    return cbor(b, i)  # a tag


def bstr(b):
    n = len(b)
    return (bytes([0x40 + n]) if n < 24 else bytes([0x58, n]) if n < 256 else b"\x59" + n.to_bytes(2, "big")) + b


name = lambda raw: hashlib.sha256(raw).digest()[:8]  # of a key, in heads


def head(text):
    """What a signed head says: size, root, and who signed it, as a test of the signature (RFC 9052, section 4.4)."""
    b = base64.b64decode(text, validate=True)
    assert b[0] == 0xd2, "no COSE_Sign1"
    (protected, open_, payload, signature), end = cbor(b)
    assert open_ == {} and end == len(b) and cbor(protected)[0][1] == -8, "EdDSA"
    said = cbor(payload)[0]

    def by(keys):
        """Whether one of these keys made it; an error if it names one that did not."""
        key = keys.get(cbor(protected)[0][4])
        if key: key.verify(signature, b"\x84\x6aSignature1" + bstr(protected) + bstr(b"") + bstr(payload))
        return key is not None
    return said[2], said[3], by


leaf = lambda b: hashlib.sha256(b"\0" + b).digest()
node = lambda a, b: hashlib.sha256(b"\1" + a + b).digest()


def root(leaves):
    """RFC 9162, section 2.1.1."""
    if len(leaves) == 1: return leaves[0]
    k = 1
    while k * 2 < len(leaves): k *= 2
    return node(root(leaves[:k]), root(leaves[k:]))


def main(key_path, path):
    first_key = load_pem_public_key(open(key_path, "rb").read())
    keys = {name(first_key.public_bytes(Encoding.Raw, PublicFormat.Raw)): first_key}
    text = open(path).read()
    if '"secllama_proof"' in text:
        proof = json.loads(text)
        size, wanted, by = head(proof["head"])
        assert by(keys), "signed by another key"
        fn, sn, r = proof["index"], size - 1, leaf(proof["line"].encode())
        for p in map(bytes.fromhex, proof["path"]):
            if fn % 2 or fn == sn:
                r = node(p, r)
                while fn and not fn % 2: fn, sn = fn >> 1, sn >> 1
            else:
                r = node(r, p)
            fn, sn = fn >> 1, sn >> 1
        assert sn == 0 and r == wanted and size == proof["size"], "not in the tree"
        return f"proven {proof['index']}"
    leaves, heads, said, gone = [], [], [], -1
    first, *rows = map(json.loads, text.splitlines())
    for row in rows:
        if "line" in row:
            line = json.loads(row["line"])
            assert line["n"] == len(leaves), "out of order"
            assert line.get("endorsed", True), "a key that the one before does not vouch for"
            said.append(line)
            leaves.append(leaf(row["line"].encode()))
        elif "forgotten" in row:
            gone = len(leaves)
            assert row["n"] == gone, "out of order"
            leaves.append(bytes.fromhex(row["forgotten"]))
            assert leaves[-1].hex() == row["forgotten"], "its hash is written another way"
        else: heads.append(head(row["head"]))
    signed, covered, pruned = 0, 0, 0
    for size, wanted, by in sorted(heads, key=lambda one: one[0]):
        if not by(keys): continue
        assert root(leaves[:size]) == wanted, f"the first {size} lines are not what was signed"
        signed, covered = signed + 1, size
        # What is signed may name the next key, and what retention took.
        for line in (one for one in said if one["n"] < size):
            if line["event"] in ("audit-begun", "audit-key"):
                raw = base64.urlsafe_b64decode(line["key"] + "=")
                keys[name(raw)] = Ed25519PublicKey.from_public_bytes(raw)
            if line["event"] == "audit-pruned": pruned = max(pruned, line["before"])
    assert covered == len(leaves) == first["lines"], "cut"
    assert gone < pruned or gone < 0, "a text is gone"
    return f"whole {len(leaves)} {signed}"


failed = False
for path in sys.argv[2:]:
    try:
        print(main(sys.argv[1], path))
    except Exception as error:
        failed = True
        print(f"not whole: {type(error).__name__} {error}", file=sys.stdout if len(sys.argv) > 3 else sys.stderr)
sys.exit(failed)
