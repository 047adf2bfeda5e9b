"""Drives a program on a terminal: reads steps as JSON from standard input, prints what the program showed as JSON.

Each step is ["expect", TEXT], ["send", TEXT], ["signal", NUMBER] or ["size", COLUMNS]; the terminal is 60 columns wide at first. What was just sent may not hold what is
expected next: a terminal shows what is typed, and the program would not have been waited for.
"""
import fcntl, json, os, pty, select, struct, sys, termios, time

argv = sys.argv[1:]
steps = json.load(sys.stdin)
pid, fd = pty.fork()
if pid == 0:
    os.execv(argv[0], argv)


def size(columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))


size(60)
seen, at = "", 0


def read():
    global seen
    # The bound is for a program that hangs; what is waited for is its output.
    if not select.select([fd], [], [], 120)[0]:
        return False
    try:
        data = os.read(fd, 65536)
    except OSError:
        data = b""
    seen += data.decode(errors="replace")
    return data != b""


def send(data):
    # A terminal's buffer is small, and the program may wait until what it showed is read.
    while data:
        readable, writable, _ = select.select([fd], [fd], [], 120)
        if not readable and not writable or readable and not read():
            return
        if writable:
            data = data[os.write(fd, data[:1024]) :]


failed, typed = None, ""
for kind, text in steps:
    if kind == "send":
        send(text.encode())
        typed += text
        continue
    if kind == "signal":
        os.kill(pid, text)
        continue
    if kind == "size":
        size(text)
        continue
    if text in typed:
        failed = f"what was typed holds {text!r}, so that its echo would do"
        break
    while text not in seen[at:]:
        if not read():
            failed = f"never showed {text!r}"
            break
    if failed:
        break
    at, typed = seen.index(text, at) + len(text), ""
while not failed and read():
    pass
if failed:
    os.kill(pid, 9)
_, status = os.waitpid(pid, 0)
print(json.dumps({"seen": seen, "failed": failed, "code": os.waitstatus_to_exitcode(status)}))
