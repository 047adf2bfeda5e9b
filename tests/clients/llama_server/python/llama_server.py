#!/usr/bin/env python3
"""Stands in the place of llama-server: hands its arguments to the test, which serves on that port until this ends."""
import json
import os
import socket
import sys

with socket.create_connection(("127.0.0.1", int(os.environ["SECLLAMA_TEST_CONTROL"]))) as control:
    control.sendall(json.dumps(sys.argv[1:]).encode() + b"\n")
    while control.recv(4096):
        pass
