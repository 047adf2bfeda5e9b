"""Renders templates as Hugging Face's transformers sets Jinja2 up, one JSON line in, one out.

In:  {"template": TEXT, "variables": {NAME: JSON}}
Out: {"text": TEXT} or {"error": the exception's class, "kind": ..., "message": TEXT},
     where there are powers with "unfolded", the same without Jinja2's optimiser
Jinja2 is Debian's python3-jinja2; what the immutable sandbox refuses is tried in the mutable one.
"""
import json
import resource
import sys
from datetime import datetime

import jinja2
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedEnvironment

NOW = datetime(2026, 3, 4, 15, 6, 7)


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        call = self.call_method("_generation")
        return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _generation(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(
        x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def environment(kind, **more):
    env = kind(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols], **more)
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda format: NOW.strftime(format)
    return env


IMMUTABLE = environment(ImmutableSandboxedEnvironment)
MUTABLE = environment(SandboxedEnvironment)
UNFOLDED = [environment(kind, optimized=False) for kind in (ImmutableSandboxedEnvironment, SandboxedEnvironment)]


def kind_of(error):
    for name, kind in [
        ("TemplateSyntaxError", "syntax"),
        ("SyntaxError", "syntax"),
        ("UndefinedError", "undefined"),
        ("SecurityError", "security"),
        ("TemplateRuntimeError", "runtime"),
        ("TemplateError", "raised"),
        ("ZeroDivisionError", "zero-division"),
        ("OverflowError", "overflow"),
        ("AttributeError", "type"),
        ("LookupError", "lookup"),
        ("TypeError", "type"),
        ("ValueError", "value"),
        ("AssertionError", "value"),
    ]:
        if any(c.__name__ == name for c in type(error).__mro__):
            return kind
    return type(error).__name__


def render(env, template, variables):
    text = env.from_string(template).render(**variables)
    text.encode("utf-8")
    return {"text": text}


def answer(request):
    found = answer_of((IMMUTABLE, MUTABLE), request)
    # Its optimiser writes a negative constant without parentheses, so that (-7) ** n becomes -(7 ** n).
    if "**" in request["template"]:
        found["unfolded"] = answer_of(UNFOLDED, request)
    return found


def answer_of(environments, request):
    template, variables = request["template"], request["variables"]
    for env in environments:
        try:
            return render(env, template, variables)
        except jinja2.exceptions.SecurityError as error:
            failure = error
        except Exception as error:
            failure = error
            break
    return {
        "error": type(failure).__name__,
        "kind": kind_of(failure),
        "message": str(failure).encode("utf-8", "replace").decode()[:500],
    }


sys.setrecursionlimit(2000)
# A text repeated without end is a MemoryError here, not the end of the oracle.
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
for line in sys.stdin:
    sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
    sys.stdout.flush()
