"""Drives a program on a terminal: reads steps as JSON from standard input, prints what the program showed as JSON.

Each step is ["expect", TEXT] or ["send", TEXT]; the terminal is 60 columns wide. What was just sent may not hold what is
expected next: a terminal shows what is typed, and the program would not have been waited for.
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


failed, typed = None, ""
for kind, text in steps:
    if kind == "send":
        os.write(fd, text.encode())
        typed += text
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
