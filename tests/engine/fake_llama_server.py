"""A fake of llama-server, for tests: HTTP over the Unix socket of --host, and no model.

It "completes" a prompt of tokens by saying its last tokens again, in turn. What it was asked is told at /asked, what it could
reach from its place at /attack. With a model's file that ends in "refuse" it ends at once, as llama-server does.
"""

import errno
import json
import os
import socket
import socketserver
import sys
from http.server import BaseHTTPRequestHandler

arguments = sys.argv[1:]
vllm = "--uds" in arguments
path = arguments[arguments.index("--uds" if vllm else "--host") + 1]
asked = []
steps = 0  # of its computation, as /metrics tells them
ENDS_AT, ENDS_IN = 666, 667  # seeds by which it ends: before its answer, or within it
HUNG, READS_LONG = 777, 778  # seeds by which it computes nothing for ever, or without saying anything


def attempt(name, action):
    try:
        return {"name": name, "out": True, "seen": str(action())[:80]}
    except OSError as error:
        return {"name": name, "out": False, "seen": errno.errorcode.get(error.errno, "?")}


def connect(family, kind, address):
    with socket.socket(family, kind) as one:
        one.settimeout(2)
        one.connect(address)
        one.sendall(b"x")


def execute():
    os.execv("/bin/sh", ["/bin/sh", "-c", "true"])


def write_file():
    with open("/run/engine/kept", "w", encoding="ascii") as file:
        file.write("x")


def attacks(targets):
    yield attempt("tcp", lambda: connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", targets.get("tcp4") or 9)))
    yield attempt("udp", lambda: connect(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 9)))
    yield attempt("tcp6", lambda: connect(socket.AF_INET6, socket.SOCK_STREAM, ("::1", 9)))
    yield attempt("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))
    yield attempt("vsock", lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM, 0))
    for name in ("unixPath", "unixAbstract"):
        if targets.get(name):
            address = targets[name] if name == "unixPath" else "\0" + targets[name]
            yield attempt(name, lambda address=address: connect(socket.AF_UNIX, socket.SOCK_STREAM, address))
    yield attempt("read the host", lambda: open("/etc/passwd", encoding="utf-8").read())
    yield attempt("execute", execute)
    yield attempt("write a file", write_file)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format, *args):
        pass

    def answer(self, value, status=200):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def event(self, text):
        data = f"data: {text}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def do_GET(self):
        global steps
        if self.path == "/asked":
            self.answer(asked)
        elif self.path == "/metrics":
            if any(one["body"].get("seed") == READS_LONG for one in asked):
                steps += 1
            asked.append({"path": self.path, "body": {}})
            name = "vllm:iteration_tokens_total_count" if vllm else "llamacpp:n_decode_total"
            text = f"# HELP {name} steps\n# TYPE {name} counter\n{name} {steps}\nother_seconds {len(asked)}\n".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
        else:
            self.answer({"status": "ok"})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/attack":
            self.answer(list(attacks(body)))
            return
        asked.append({"path": self.path, "body": body})
        if self.path == "/embedding":
            self.answer([{"index": 0, "embedding": [[3.0, 4.0] + [0.0] * 62]}])
            return
        if body.get("seed") == 500:
            self.answer({"error": {"code": 500, "message": "the fake fails on purpose", "type": "server_error"}}, 500)
            return
        if body.get("seed") == ENDS_AT:
            os._exit(3)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if body.get("seed") in (HUNG, READS_LONG):
            self.rfile.read(1)  # until who asked has left
            return
        try:
            (self.vllm if vllm else self.llama)(body)
            self.wfile.write(b"0\r\n\r\n")
        except BrokenPipeError:
            asked.append({"path": "left", "body": {}})
        self.close_connection = True

    def llama(self, body):
        prompt = body["prompt"]
        count = body["n_predict"]
        made = 0
        while count < 0 or made < count:
            if made == 2 and body.get("seed") == ENDS_IN:
                os._exit(3)
            if made == 2 and body.get("seed") == 501:
                self.event(json.dumps({"error": {"code": 500, "message": "secret of the reply", "type": "server_error"}}))
                return
            token = prompt[-1 - made % len(prompt)]
            piece = {"content": "", "tokens": [token], "stop": False}
            if body.get("n_probs"):
                one = {"id": token, "token": "", "bytes": [], "logprob": -0.5}
                piece["completion_probabilities"] = [{**one, "top_logprobs": [one]}]
            self.event(json.dumps(piece))
            made += 1
        timings = {"cache_n": 0, "prompt_n": len(prompt), "prompt_ms": 1.0, "predicted_ms": 2.0}
        last = {"content": "", "tokens": [], "stop": True, "stop_type": "limit", "tokens_cached": 0,
                "tokens_evaluated": len(prompt), "tokens_predicted": made, "timings": timings}
        self.event(json.dumps(last))

    def vllm(self, body):
        prompt = body["prompt"]
        for made in range(body["max_tokens"]):
            if made == 2 and body.get("seed") == ENDS_IN:
                os._exit(3)
            token = prompt[-1 - made % len(prompt)]
            choice = {"index": 0, "text": "", "token_ids": [token], "finish_reason": None}
            if body.get("logprobs") is not None:
                name = f"token_id:{token}"
                choice["logprobs"] = {"tokens": [name], "token_logprobs": [-0.5], "top_logprobs": [{name: -0.5}]}
            self.event(json.dumps({"choices": [choice]}))
        self.event(json.dumps({"choices": [{"index": 0, "text": "", "token_ids": [], "finish_reason": "length"}]}))
        usage = {"prompt_tokens": len(prompt), "completion_tokens": body["max_tokens"]}
        self.event(json.dumps({"choices": [], "usage": usage}))
        self.event("[DONE]")


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64

    def get_request(self):
        request, _ = super().get_request()
        return request, ("local", 0)


model = arguments[arguments.index("-m" if not vllm else "serve") + 1]
if model.endswith("refuse") or os.path.getsize(model) < 100:
    print("fake: the model is refused", file=sys.stderr)
    sys.exit(1)
with Server(path, Handler) as server:
    server.serve_forever()
