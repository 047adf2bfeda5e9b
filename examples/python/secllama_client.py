#!/usr/bin/env python3
"""A client of SecLlama in one file: sealed/1, suite 1, streaming. Needs python3-cryptography (Debian's will do).

    python3 secllama_client.py MODEL PROMPT < pairing.txt       where pairing.txt is what `secllama pair NAME` printed

The format is docs/wire.md. Its core is from `check_key_document` to the end of `open_reply`, some 80 lines. It has no ML-KEM
and so no suite 2. A new key after a rotation is handed to `Client.renewed`, if you set it, to be stored.
"""
import base64, hashlib, hmac, http.client, json, os, random, re, ssl, sys, time, urllib.parse, zlib
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HOST = re.compile(r"(?:([a-z0-9-]{1,63})\.)?([0-9a-f]{32})")
RUNNER = re.compile(r"(?:[a-z0-9-]{1,63}\.)?[0-9a-f]{16}")
PSK_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
KEM, HPKE = b"KEM\x00\x20", b"HPKE\x00\x20\x00\x01\x00\x02"


class SealedError(Exception):
    """`code` is one of the codes of docs/wire.md; `status` that of the HTTP answer, if there was one; `wait`: its Retry-After, s."""
    def __init__(self, code, status=0, wait=0): super().__init__(code); self.code, self.status, self.wait = code, status, wait


def mac(key, data): return hmac.new(key, data, hashlib.sha256).digest()
def extract(salt, ikm): return mac(salt or bytes(32), ikm)
def expand(prk, info, n):
    out = block = b""
    while len(out) < n:
        block = mac(prk, block + info + bytes([len(out) // 32 + 1])); out += block
    return out[:n]
def hkdf(ikm, info, n=32, salt=b""): return expand(extract(salt, ikm), info, n)
def l_extract(id, salt, label, ikm): return extract(salt, b"HPKE-v1" + id + label + ikm)
def l_expand(id, prk, label, info, n):
    return expand(prk, n.to_bytes(2, "big") + b"HPKE-v1" + id + label + info, n)
def nonce(base, seq): return (int.from_bytes(base, "big") ^ seq).to_bytes(12, "big")
def unb64(text): return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


NAME = re.compile(r"(?:(?:(\w[\w.:-]{0,349})/)?(\w[\w-]{0,79})/)?(\w[\w.-]{0,79})(?::(\w[\w.-]{0,79}))?", re.ASCII)
DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:[.:]|$)")


def canonical(name):
    """The one form of a model's name, which the key document's mac covers."""
    match = NAME.fullmatch(name)
    if not match: raise SealedError("bad-model-name")
    host, space, model, tag = (part and part.lower() for part in match.groups())
    if any(part and (part.endswith(".") or DEVICE.match(part)) for part in (host, space, model, tag)):
        raise SealedError("bad-model-name")
    if host == "registry.ollama.ai": host = None
    if host is None and space == "library": space = None
    return "".join(part + "/" for part in (host, space) if part) + model + ":" + (tag or "latest")


def check_member(member, fid, issuer, hid, now):
    """Whether the fleet's issuer says, in the header Secllama-Member, that the host `hid` may answer now (our clock, ms)."""
    try: data = unb64(member)
    except ValueError: raise SealedError("auth")
    if len(data) != 112 or data[:16] != fid or data[16:32] != hid: raise SealedError("auth")
    try: Ed25519PublicKey.from_public_bytes(issuer).verify(data[48:], b"secllama/1 fleet member" + data[:48])
    except InvalidSignature: raise SealedError("auth")
    nbf, exp = (int.from_bytes(data[at:at + 8], "big") for at in (32, 40))
    if not nbf - 3600000 <= now < exp + 3600000: raise SealedError("clock")


def check_key_document(doc, psk, hid, model, challenge, issuer=None, member=""):
    """The runner's public key and clock, the PSK that we share with it, and `gen`, once the document verifies.
    With a fleet's `issuer`, `hid` is the fleet's id, and `member` what the host showed."""
    try:
        suite, gen, times = doc["suite"], doc["gen"], [doc[f] for f in ("nbf", "exp", "now")]
        theirs, rn, pk = (unb64(doc[f]) for f in ("hid", "rn", "pk"))
        core = (b"SLK1" + bytes([suite]) + theirs + rn + gen.to_bytes(8, "big") + pk +
                b"".join(t.to_bytes(8, "big") for t in times))
        if "=" in doc["hid"] + doc["rn"] + doc["pk"] + doc["mac"] or (len(theirs), len(rn)) != (16, 32): raise ValueError
    except (KeyError, TypeError, ValueError, AttributeError): raise SealedError("malformed")
    if suite != 1: raise SealedError("unsupported-suite")
    if issuer: check_member(member, hid, issuer, theirs, time.time() * 1000); hid = theirs
    if theirs != hid: raise SealedError("auth")  # another host
    host_psk, about = hkdf(psk, b"secllama/1 host" + hid), canonical(model).encode() + challenge
    runner_psk = hkdf(host_psk, b"secllama/1 runner", salt=rn)
    attest = mac(hkdf(host_psk, b"secllama/1 attest"), b"SLA1" + rn + gen.to_bytes(8, "big") + about)
    good = mac(hkdf(runner_psk, b"secllama/1 announce", salt=attest), core + about)
    if not hmac.compare_digest(good, unb64(doc["mac"])): raise SealedError("auth")
    if not times[0] <= times[2] < times[1]: raise SealedError("clock")
    return pk, times[2], runner_psk, gen


def open_renewal(k, psk_id, psk, hid, gen):
    """The fields of our new key, or None if this is none: then go on as before. `gen` is the key document's."""
    try:
        sealed = unb64(k)
        key = AESGCM(hkdf(psk, b"secllama/1 renewal"))
        new = json.loads(key.decrypt(sealed[:12], sealed[12:], b"SLN1" + hid))
        new["psk"] = unb64(new["psk"])
        ours, theirs = psk_id.split("."), new["psk_id"].split(".")
        same_client = len(ours) == len(theirs) == 3 and (ours[0], ours[2]) == (theirs[0], theirs[2])
        return new if same_client and len(new["psk"]) == 32 and new["gen"] >= gen else None
    except (InvalidTag, KeyError, TypeError, ValueError, AttributeError): return None


def seal_request(pk, runner_psk, psk_id, envelope, body, ephemeral=None, frame_bytes=1048575):
    """The HTTP body, and (secret, enc) for the reply. `ephemeral` is for test vectors only."""
    sk = ephemeral or X25519PrivateKey.generate()
    enc = sk.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    hdr = b"SLQ1\x01\x00" + hashlib.sha256(pk).digest()[:8] + bytes([len(psk_id)]) + psk_id.encode()
    dh = sk.exchange(X25519PublicKey.from_public_bytes(pk))  # refuses an all-zero result
    shared = l_expand(KEM, l_extract(KEM, b"", b"eae_prk", dh), b"shared_secret", enc + pk, 32)
    ctx = (b"\x01" + l_extract(HPKE, b"", b"psk_id_hash", psk_id.encode()) +
           l_extract(HPKE, b"", b"info_hash", b"secllama/1 request\x00" + hdr))
    s = l_extract(HPKE, shared, b"secret", runner_psk)
    key, base, exporter = (l_expand(HPKE, s, *x) for x in
                           ((b"key", ctx, 32), (b"base_nonce", ctx, 12), (b"exp", ctx, 32)))
    commit, secret = (l_expand(HPKE, exporter, b"sec", b"secllama/1 " + x, 32)
                      for x in (b"commit", b"response"))
    text = json.dumps(envelope, separators=(",", ":"), ensure_ascii=False).encode()
    data, frames = len(text).to_bytes(2, "big") + text + body, []
    for seq, at in enumerate(range(0, len(data), frame_bytes)):
        plain = data[at:at + frame_bytes] + b"\x80"
        plain += bytes(-len(plain) % 256)
        aad = bytes([at + frame_bytes >= len(data)]) + (len(plain) + 16).to_bytes(3, "big")
        frames.append(aad + AESGCM(key).encrypt(nonce(base, seq), plain, aad))
    return hdr + enc + commit + b"".join(frames), (secret, enc)


def open_reply(read, secret, enc):
    """Yields (status, headers, k or None), then body bytes, each verified. `read(n)` returns n bytes, or fewer at the end."""
    def need(n):
        data = read(n)
        if len(data) < n: raise SealedError("truncated")
        return data
    magic = read(4)
    if not b"SLR1".startswith(magic): raise SealedError("downgrade")
    if len(magic) < 4: raise SealedError("truncated")
    rs, commit = need(32), need(32)
    keys = hkdf(secret, b"secllama/1 response keys", 76, enc + rs)
    if not hmac.compare_digest(keys[44:], commit): raise SealedError("auth")
    aead, base, seq, kind = AESGCM(keys[:32]), keys[32:44], 0, 0
    while kind != 1:
        aad = need(4)
        kind, length = aad[0], int.from_bytes(aad[1:], "big")
        if kind > 2 or not 80 <= length <= 1048592 or length % 64 != 16: raise SealedError("auth")
        try: plain = aead.decrypt(nonce(base, seq), need(length), aad).rstrip(b"\x00")
        except InvalidTag: raise SealedError("auth")
        if plain[-1:] != b"\x80": raise SealedError("auth")
        if kind == 2: raise SealedError("truncated")
        data = plain[:-1]
        if seq == 0:
            try:
                end = 2 + int.from_bytes(data[:2], "big")
                head = json.loads(data[2:end]); status, headers = head["s"], head["h"]
                if not (isinstance(status, int) and 200 <= status <= 599): raise ValueError
                if "k" in head and len(unb64(head["k"])) > 1536: raise ValueError
            except (KeyError, TypeError, ValueError): raise SealedError("malformed")
            yield status, headers, head.get("k")
            data = data[end:]
        seq += 1
        if data: yield data
    if read(1): raise SealedError("auth")


def parse_pairing(text):
    """The fields of a pairing string: url, psk_id, psk, hid and, if the gateway made its own, cert."""
    try:
        family, body, checksum = "".join(text.split()).split(".")
        data = unb64(body)
        if family != "secllama-pair-1" or f"{zlib.crc32(data):08x}" != checksum.lower(): raise ValueError
        fields = json.loads(data)
        for name in ("psk", "hid", "issuer", "cert"):
            if name in fields: fields[name] = unb64(fields[name])
        if "previous" in fields: fields["previous"]["psk"] = unb64(fields["previous"]["psk"])
        if (len(fields["psk"]), len(fields["hid"])) != (32, 16) or not PSK_ID.fullmatch(fields["psk_id"]): raise ValueError
        return {"cert": None, **fields}
    except (KeyError, TypeError, ValueError): raise SealedError("bad-pairing")


def make_proof(psk, psk_id, hid, method, target, now, nonce=None, named=False):
    """Shows the host `hid` that we hold the key when we ask for a key document; `named`, if it is one of a fleet's."""
    nonce, field = nonce or os.urandom(16), lambda text: len(text).to_bytes(2, "big") + text.encode()
    tag = mac(hkdf(hkdf(psk, b"secllama/1 host" + hid), b"secllama/1 metadata"), b"SLM1" + hid + field(method) + field(target) +
              now.to_bytes(8, "big") + nonce + hashlib.sha256(b"").digest())
    tag = base64.urlsafe_b64encode(tag).decode().rstrip("=")
    host = f";h={hid.hex()}" if named else ""
    return f"id={psk_id}{host};t={now};n={nonce.hex()};mac={tag}"


def elsewhere(error):
    """Whether another host may answer what failed like this, or the same one in a moment; a runner that died of it may not."""
    return lost(error) or getattr(error, "code", "") in (
        "key-mismatch", "busy", "replay-window-full", "fleet-silent", "status-503")


def cut(error):
    """Whether an answer broke off after its head: a runner had the request."""
    return getattr(error, "code", "") == "truncated"


def lost(error):
    """Whether the connection was lost, or the answer broke off."""
    if isinstance(error, SealedError): return error.code in ("truncated", "status-502")
    return not isinstance(error, ssl.SSLCertVerificationError)


def reader(response):
    """What reads n bytes of an HTTP answer, or fewer at its end, however it ends."""
    def read(n):
        try: return response.read(n)
        except http.client.IncompleteRead as cut: return cut.partial
        except OSError: return b""
    return read


class Client:
    """`renewed(new)` stores {psk_id, psk} durably, beside the key it replaces, before a request uses it; see docs/wire.md."""
    def __init__(self, url, psk_id, psk, hid, cert=None, previous=None, renewed=None, issuer=None):
        self.url, self.psk_id, self.psk, self.hid, self.offset = urllib.parse.urlsplit(url), psk_id, psk, hid, 0
        self.previous, self.renewed = previous, renewed
        self.issuer, self.host, self.label = issuer, hid, None  # of a fleet: the host that answered last
        pem = ssl.DER_cert_to_PEM_cert(cert) if cert else None
        self.context = ssl.create_default_context(cadata=pem) if self.url.scheme == "https" else None

    def _send(self, *request, **more):
        if self.context: connection = http.client.HTTPSConnection(
            self.url.hostname, self.url.port, context=self.context)
        else: connection = http.client.HTTPConnection(self.url.hostname, self.url.port)
        connection.request(*request, **more)
        response = connection.getresponse()
        if response.status != 200:
            try: kind = json.loads(response.read(65536)).get("type", "")
            except (ValueError, AttributeError): kind = ""
            theirs = response.getheader("secllama-now")  # with a 425: the gateway's clock
            if theirs: self.offset = int(theirs) - time.time() * 1000
            other = HOST.fullmatch(response.getheader("secllama-host") or "")  # with a 421: which of the fleet's hosts it is
            if other and self.issuer: self.label, self.host = other[1], bytes.fromhex(other[2])
            wait = response.getheader("retry-after") or ""
            raise SealedError(kind.rsplit(":", 1)[-1] or f"status-{response.status}", response.status,
                              int(wait) if wait.isdecimal() else 0)
        return response

    def request(self, method, path, body):
        """Yields (status, headers), then body bytes as they come."""
        psk_id, psk = self.psk_id, self.psk
        tried, others, hosts, cuts, parts = set(), 0, 0, 0, None  # codes tried again once; how often for each reason
        while parts is None:
            posted = False
            try:
                challenge, sent = os.urandom(16), time.time()
                query = {"model": body["model"], "id": psk_id, "c": challenge.hex()}
                target = "/sealed/v1/key?" + urllib.parse.urlencode(query)
                now, headers = round(sent * 1000 + self.offset), {}
                if self.label: headers["Secllama-Runner"] = f"{self.label}.{'0' * 16}"  # so that a balancer sends it there
                headers["Secllama-Proof"] = make_proof(psk, psk_id, self.host, "GET", target, now, named=bool(self.issuer))
                answer = self._send("GET", target, headers=headers)
                doc = json.load(answer)
                pk, now, runner_psk, gen = check_key_document(doc, psk, self.hid, body["model"], challenge,
                                                              self.issuer, answer.getheader("secllama-member") or "")
                now += round((time.time() - sent) * 500)
                envelope = {"m": method, "p": path, "h": {"content-type": "application/json"}, "t": now}
                sealed, reply = seal_request(pk, runner_psk, psk_id, envelope, json.dumps(body).encode())
                rk, said = hashlib.sha256(pk).hexdigest()[:16], answer.getheader("secllama-runner") or ""
                posted = True
                response = self._send("POST", "/sealed/v1", body=sealed, headers={
                    "content-type": "application/vnd.secllama.sealed;v=1",  # and for balancers, the runner's name
                    "Secllama-Runner": said if RUNNER.fullmatch(said) and said.endswith(rk) else rk})
                parts = open_reply(reader(response), *reply)
                status, headers, k = next(parts)
            except (SealedError, OSError, http.client.HTTPException) as error:  # all before the reply's first frame
                parts, code, http_status = None, getattr(error, "code", None), getattr(error, "status", 0)
                if code == "auth" and http_status and self.previous and psk != self.previous["psk"]:
                    psk_id, psk = self.previous["psk_id"], self.previous["psk"]  # the new one is refused: back to the old
                elif http_status and code in ("replay", "clock") and code not in tried: tried.add(code)
                elif code == "other-host" and hosts < 4: hosts += 1
                elif posted and cut(error) and cuts: raise  # what ended one runner is not sent to a third
                elif others < 3 and elsewhere(error) and getattr(error, "wait", 0) <= 5:
                    cuts += posted and cut(error)
                    wait = getattr(error, "wait", 0)
                    if others or wait or code != "key-mismatch":  # another host's key says nothing of how busy it is
                        time.sleep(wait + (0.1, 0.2, 0.4)[others] * random.uniform(0.5, 1))
                    others += 1
                else: raise
        new = k and self.renewed and open_renewal(k, psk_id, psk, self.hid, gen)
        if new and new["psk"] != self.psk: self.renewed(new)
        yield status, headers
        yield from parts


if __name__ == "__main__":
    client, (model, prompt) = Client(**parse_pairing(sys.stdin.read())), sys.argv[1:3]
    parts = client.request("POST", "/api/generate", {"model": model, "prompt": prompt})
    status, _ = next(parts)
    buffer = b""
    for part in parts:
        *lines, buffer = (buffer + part).split(b"\n")
        for line in lines: print(json.loads(line).get("response", ""), end="", flush=True)
    print(buffer.decode())
    sys.exit(status != 200)
