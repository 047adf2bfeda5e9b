"""Checks an export of the audit log, or the proof of a line, with nothing of ours: Python's standard library and cryptography.

    auditor.py KEY.pem EXPORT.jsonl | PROOF.json      prints what holds; exit status 1 if anything does not
"""
import base64, hashlib, json, sys
from cryptography.hazmat.primitives.serialization import load_pem_public_key


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


def head(text, key):
    """What a signed head says, once its signature holds (RFC 9052, section 4.4)."""
    (protected, _, payload, signature), _ = cbor(base64.b64decode(text))
    assert cbor(protected)[0][1] == -8, "EdDSA"
    key.verify(signature, b"\x84\x6aSignature1" + bstr(protected) + bstr(b"") + bstr(payload))
    said = cbor(payload)[0]
    return said[2], said[3]


leaf = lambda b: hashlib.sha256(b"\0" + b).digest()
node = lambda a, b: hashlib.sha256(b"\1" + a + b).digest()


def root(leaves):
    """RFC 9162, section 2.1.1."""
    if len(leaves) == 1: return leaves[0]
    k = 1
    while k * 2 < len(leaves): k *= 2
    return node(root(leaves[:k]), root(leaves[k:]))


def main(key_path, path):
    key = load_pem_public_key(open(key_path, "rb").read())
    text = open(path).read()
    if '"secllama_proof"' in text:
        proof = json.loads(text)
        size, wanted = head(proof["head"], key)
        fn, sn, r = proof["index"], size - 1, leaf(proof["line"].encode())
        for p in map(bytes.fromhex, proof["path"]):
            if fn % 2 or fn == sn:
                r = node(p, r)
                while fn and not fn % 2: fn, sn = fn >> 1, sn >> 1
            else:
                r = node(r, p)
            fn, sn = fn >> 1, sn >> 1
        assert sn == 0 and r == wanted and size == proof["size"], "not in the tree"
        return print("proven", proof["index"])
    leaves, heads, covered = [], 0, 0
    first, *rows = map(json.loads, text.splitlines())
    for row in rows:
        if "line" in row:
            assert json.loads(row["line"])["n"] == len(leaves), "out of order"
            leaves.append(leaf(row["line"].encode()))
        elif "forgotten" in row: leaves.append(bytes.fromhex(row["forgotten"]))
        elif "head" in row:
            size, wanted = head(row["head"], key)
            assert root(leaves[:size]) == wanted, f"the first {size} lines are not what was signed"
            heads, covered = heads + 1, max(covered, size)
    assert covered == len(leaves) == first["lines"], "cut"
    print("whole", len(leaves), heads)


try:
    main(*sys.argv[1:])
except Exception as error:
    sys.exit(f"not whole: {type(error).__name__} {error}")
