"""Records every Ethernet frame of one interface until it is told to end: record.py INTERFACE FILE."""
import signal
import socket
import sys

ETH_P_ALL = 3
sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
sniffer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 20)
sniffer.bind((sys.argv[1], 0))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
with open(sys.argv[2], "wb", buffering=0) as file:
    print("recording", flush=True)
    while True:
        file.write(sniffer.recv(1 << 16))
