"""Asks once over HTTP and prints the status, 0 for no answer: sends its request in the moment in which it has connected, however busy
the machine is, which a client of an event loop does not.

    python3 ask.py PORT REQUEST_HEX
"""
import socket, sys

answer = b""
try:
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as one:
        one.sendall(bytes.fromhex(sys.argv[2]))
        while piece := one.recv(65536):
            answer += piece
except OSError as error:
    print(error, file=sys.stderr)
print(answer.split(b" ")[1].decode() if answer.startswith(b"HTTP/1.1 ") else 0)
