"""Random expansion of the small grammars in topics.py and offtopic.py: `{a|b}`, `[optional]`, `@macro`, nested."""

import functools
import re

from topics import MACROS


def expand(text, rng, extra=None):
    """One random sentence of grammar `text`; `extra` macros come before the shared ones."""

    def macro(match):
        name = match.group(1)
        return (extra or {}).get(name) or MACROS[name]

    for _ in range(4):  # macros may name macros
        text = re.sub(r"@([A-Za-z]+)", macro, text)
    return re.sub(r"\s+", " ", _choose(_parse(text), rng)).replace(" ,", ",").strip()


@functools.lru_cache(maxsize=None)
def _parse(text):
    """A sequence of strings and ("choice", [sequence, …]) tuples."""
    stack, branches = [], [[]]
    for part in re.split(r"([{}\[\]|])", text):
        if part in ("{", "["):
            stack.append((branches, part))
            branches = [[]]
        elif part in ("}", "]"):
            if part == "]":
                branches.append([])
            done = branches
            branches, _ = stack.pop()
            branches[-1].append(("choice", done))
        elif part == "|" and stack:
            branches.append([])
        elif part:
            branches[-1].append(part)
    if stack or len(branches) != 1:
        raise ValueError(f"unbalanced grammar: {text}")
    return branches[0]


def _choose(sequence, rng):
    return "".join(p if isinstance(p, str) else _choose(rng.choice(p[1]), rng) for p in sequence)
