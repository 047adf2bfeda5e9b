"""Checks receipts with nothing of ours: Python's standard library and cryptography (Debian: python3-cryptography).
    receipt.py KEY.pem SECRET REQUEST REPLY RECEIPT...     files; prints "holds" or "no" for each RECEIPT
RFC 9052 (COSE_Sign1), RFC 9942 (receipts of a log), RFC 9162 (its tree), RFC 8949 (CBOR)."""
import base64, hashlib, hmac, json, sys
from cryptography.hazmat.primitives.serialization import load_pem_public_key

def cbor(b, i=0):
    """One item and where it ends."""
    major, n, i = b[i] >> 5, b[i] & 31, i + 1
    if major == 7: return {20: False, 21: True, 22: None}[n], i
    size = 1 << (n - 24) if n >= 24 else 0
    if size: n, i = int.from_bytes(b[i:i + size], "big"), i + size
    if major < 2: return (n if major == 0 else -1 - n), i
    if major < 4:
        assert i + n <= len(b), "cut"
        return (b[i:i + n] if major == 2 else b[i:i + n].decode()), i + n
    items, more = [], lambda found: items.append(found[0]) or found[1]
    for _ in range({4: n, 5: 2 * n, 6: 1}[major]): i = more(cbor(b, i))  # grows with what is there, whatever it says
    if major == 5: return dict(zip(items[::2], items[1::2])), i
    return (items if major == 4 else (n, *items)), i

def bstr(v):
    size = 0 if len(v) < 24 else 1 if len(v) < 256 else 2
    return bytes([0x57 + size if size else 0x40 + len(v)]) + (len(v).to_bytes(size, "big") if size else b"") + v

def sign1(b):
    """A COSE_Sign1 by EdDSA: its headers, those that are not signed, its payload, and what checks its signature."""
    (tag, (protected, rest, payload, signature)), end = cbor(b)
    headers = cbor(protected)[0]
    assert tag == 18 and end == len(b) and headers[1] == -8
    signed = b"\x84\x6aSignature1" + bstr(protected) + b"\x40"
    return headers, rest, payload, lambda key, body: key.verify(signature, signed + bstr(body))

def check(receipt, key, secret):
    headers, rest, text, verify = sign1(receipt)
    verify(key, text)
    assert headers[3] == "application/json" and list(rest) == [394] and len(rest[394]) == 1
    log, proofs, nothing, verify = sign1(rest[394][0])
    assert log[395] == 1 and nothing is None and list(proofs) == [396] and list(proofs[396]) == [-1]
    (size, index, path), _ = cbor(proofs[396][-1][0])
    fn, sn, root = index, size - 1, hashlib.sha256(b"\0" + text).digest()
    for p in path:
        left = fn % 2 or fn == sn
        root = hashlib.sha256(b"\1" + (p + root if left else root + p)).digest()
        while left and fn and not fn % 2: fn, sn = fn >> 1, sn >> 1
        fn, sn = fn >> 1, sn >> 1
    verify(key, root)
    line = json.loads(text)
    assert sn == 0 and line["n"] == index and log["size"] == size
    assert line["receipt"] == hashlib.sha256(b"secllama receipt id\0" + secret).hexdigest()[:32]
    for name, body in (b"request", request), (b"reply", reply):
        assert line[name.decode() + "_mac"] == hmac.digest(secret, name + b"\0" + body, "sha256").hex()

read = lambda path: open(path, "rb").read()
pem, secret, request, reply = map(read, sys.argv[1:5])
for path in sys.argv[5:]:
    try:
        check(read(path), load_pem_public_key(pem), base64.urlsafe_b64decode(secret.strip() + b"="))
        print("holds", path)
    except Exception as error: print("no", path, type(error).__name__, error)
