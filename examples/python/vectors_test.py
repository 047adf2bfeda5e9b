#!/usr/bin/env python3
"""The published vectors of sealed/1 against secllama_client.py: python3 vectors_test.py [FOLDER]"""
import io, json, pathlib, sys
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
import secllama_client as client

HERE = pathlib.Path(__file__).resolve().parent
FOLDER = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else HERE / "../../tests/vectors/sealed-1")
CODES = {"ok", "ignored", "bad-pairing", "auth", "truncated", "downgrade", "malformed", "clock", "unsupported-suite"}
passed, skipped = 0, []


def load(name):
    return json.loads((FOLDER / name).read_text())["vectors"]


def expecting(vector, act):
    global passed
    assert vector["expect"] in CODES, f"unknown class {vector['expect']}"
    try:
        result, got = act(), "ok"
    except client.SealedError as error:
        result, got = None, error.code
    assert got == vector["expect"], f"{vector['comment']}: {got}, wanted {vector['expect']}"
    passed += 1
    return result


for v in load("derivation.json"):
    transport = client.hkdf(bytes.fromhex(v["master_key"]), b"secllama/1 transport")
    assert transport.hex() == v["transport"]
    local = client.hkdf(transport, b"secllama/1 local")
    paired = client.hkdf(transport, b"secllama/1 client" + bytes.fromhex(v["client"]["id"]))
    for psk, keys in ((local, v["local"]), (paired, v["client"])):
        assert psk.hex() == keys["psk"]
        host_psk = client.hkdf(psk, b"secllama/1 host" + bytes.fromhex(v["hid"]))
        assert host_psk.hex() == keys["host_psk"]
        runner_psk = client.hkdf(host_psk, b"secllama/1 runner", salt=bytes.fromhex(v["rn"]))
        assert runner_psk.hex() == keys["runner_psk"]
    passed += 1

for row in json.loads((FOLDER / "../model_name.json").read_text())["names"]:
    try:
        got = client.canonical(row["name"])
    except client.SealedError:
        got = None
    assert got == row["canonical"], f"{row['name']!r}: {got}"
    passed += 1

for v in load("key_document.json"):
    if v["suite"] != 1:
        skipped.append(v["comment"])
        continue
    checked = expecting(v, lambda: client.check_key_document(
        v["document"], bytes.fromhex(v["psk"]), bytes.fromhex(v["hid"]), v["model"],
        bytes.fromhex(v["challenge"])))
    if checked is not None:
        assert checked[2].hex() == v["runner_psk"], v["comment"]

for v in load("request_suite_1.json"):
    if v["expect"] != "ok":
        continue  # what a runner refuses; a client has nothing to do there
    wire, (secret, enc) = client.seal_request(
        bytes.fromhex(v["pk"]), bytes.fromhex(v["runner_psk"]), v["psk_id"],
        {"m": v["m"], "p": v["p"], "h": v["h"], "t": v["t"]}, bytes.fromhex(v["body"]),
        X25519PrivateKey.from_private_bytes(bytes.fromhex(v["ephemeral_sk"])),
        v.get("frame_bytes", 1048575))
    assert wire.hex() == v["wire"], v["comment"]
    assert (secret.hex(), enc.hex()) == (v["response_secret"], v["enc"])
    passed += 1

for v in load("reply.json"):
    secret, enc = bytes.fromhex(v["response_secret"]), bytes.fromhex(v["enc"])
    parts = expecting(v, lambda: list(
        client.open_reply(io.BytesIO(bytes.fromhex(v["wire"])).read, secret, enc)))
    if parts is not None:
        assert parts[0] == (v["s"], v["h"], v.get("k")), v["comment"]
        assert b"".join(parts[1:]).hex() == "".join(v["pieces"]), v["comment"]

for v in load("renewal.json"):
    new = client.open_renewal(v["k"], v["psk_id"], bytes.fromhex(v["psk"]), bytes.fromhex(v["hid"]), v["gen"])
    assert ("ignored" if new is None else "ok") == v["expect"], v["comment"]
    if new is not None:
        assert {**new, "psk": new["psk"].hex()} == v["fields"], v["comment"]
    passed += 1

for v in load("proof.json"):
    if v["body"]:
        continue  # this client asks for nothing that has a body
    header = client.make_proof(bytes.fromhex(v["psk"]), v["psk_id"], bytes.fromhex(v["hid"]), v["method"],
                               v["target"], v["t"], bytes.fromhex(v["nonce"]), "named" in v)
    assert header == v["header"], v["comment"]
    passed += 1

for v in load("member.json"):
    fid, issuer, hid = (bytes.fromhex(v[field]) for field in ("fid", "issuer", "hid"))
    expecting(v, lambda: client.check_member(v["member"], fid, issuer, hid, v["now"]))

for v in load("pairing.json"):
    fields = expecting(v, lambda: client.parse_pairing(v["text"]))
    if fields is not None:
        hexed = lambda x: x.hex() if isinstance(x, bytes) else x
        got = {k: hexed(x) for k, x in fields.items() if x is not None}
        if "previous" in got: got["previous"] = {k: hexed(x) for k, x in got["previous"].items()}
        assert got == v["fields"], v["comment"]

skipped += [f"suite 2: {v['comment']}" for v in load("request_suite_2.json")]
for name in skipped:
    print(f"SKIPPED {name}: no ML-KEM here")
print(f"{passed} vectors passed, {len(skipped)} skipped")
