"""Drives a program on a terminal: reads steps as JSON from standard input, prints what the program showed as JSON.

Each step is ["expect", TEXT] or ["send", TEXT]; the terminal is 60 columns wide.
"""
import fcntl, json, os, pty, select, struct, sys, termios, time

argv = sys.argv[1:]
steps = json.load(sys.stdin)
pid, fd = pty.fork()
if pid == 0:
    os.execv(argv[0], argv)
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
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


failed = None
for kind, text in steps:
    if kind == "send":
        os.write(fd, text.encode())
        continue
    while text not in seen[at:]:
        if not read():
            failed = f"never showed {text!r}"
            break
    if failed:
        break
    at = seen.index(text, at) + len(text)
while not failed and read():
    pass
if failed:
    os.kill(pid, 9)
_, status = os.waitpid(pid, 0)
print(json.dumps({"seen": seen, "failed": failed, "code": os.waitstatus_to_exitcode(status)}))
