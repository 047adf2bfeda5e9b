"""Floods a port with connections that show little, and keeps the flood up: what is closed is opened again.

    python3 flood.py PORT COUNT GAP AGAIN PAYLOAD_HEX

Sends the payload on each connection: at once (GAP 0), or a byte each GAP seconds. Says "open" when COUNT connections were
made, and goes on until its input ends, opening AGAIN of those that were closed at a time. Then says how many connections it made in all.
"""
import resource, select, selectors, socket, sys, time

port, count, gap = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
again, payload = int(sys.argv[4]), bytes.fromhex(sys.argv[5])
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
eyes = selectors.DefaultSelector()
sent = {}
made = 0


def connect():
    global made
    one = socket.create_connection(("127.0.0.1", port))
    one.setblocking(False)
    made += 1
    sent[one] = 0
    eyes.register(one, selectors.EVENT_READ)
    if gap == 0:
        push(one, len(payload))


def push(one, size):
    at = sent[one]
    if at >= len(payload):
        return
    try:
        sent[one] += one.send(payload[at : at + size])
    except BlockingIOError:
        pass
    except OSError:
        drop(one)


def drop(one):
    if sent.pop(one, None) is None:
        return
    eyes.unregister(one)
    one.close()


while made < count:
    connect()
print("open", flush=True)
last = time.monotonic()
while not select.select([sys.stdin], [], [], 0)[0]:
    for key, _ in eyes.select(0.02):
        try:
            if key.fileobj.recv(65536):
                continue
        except BlockingIOError:
            continue
        except OSError:
            pass
        drop(key.fileobj)
    # As many again as were closed, some at a time: places are what is flooded, not the machine's processors.
    for _ in range(min(again, count - len(sent))):
        connect()
    if gap and time.monotonic() - last >= gap:
        last = time.monotonic()
        for one in list(sent):
            push(one, 1)
print(made, flush=True)
