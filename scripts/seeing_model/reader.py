"""The text model: a transformer of two layers whose weights are written down, not learned.

It has three things to do. At each position the first layer looks back for the last word that names a shape or
a colour, for the last word that says what is asked for (or for `user`, which stands before both), and for a
picture. The second finds the patches that show what is named, and takes over what they are. Its
feed-forward part lets through what was asked for, as the next token.

A head finds the *last* of several words by a pair of numbers that turns slowly with the position: RoPE's third, at
this base. All later pairs turn by less than a tenth over the whole context, so that what they hold is compared as it is.
"""

import numpy as np

import tokenizer as spm
from draw import COLOURS, NUMBERS, PLACES, SHAPES
from model import Config
from talk import ASKS, NO_PICTURE

KINDS = [*SHAPES, *"0123456789"]
WIDTH, HEADS, SIZE, LAYERS, HIDDEN = 128, 4, 32, 2, 64
SLOW = 1.5e-3  # radians a token: of the pair that tells how far away a word is
ROPE_BASE = SLOW**-8.0  # pair 2 of 16
# What every vector has of this, so that RMSNorm scales all of them by about the same.
EVER = 4.0
# What RMSNorm multiplies by, about: a word's vector, and then one that has taken over what it needs.
USUAL = [2.65, 2.35]


class Axes:
    """Which number of a vector says what. Blocks of 32 share a scale in Q8_0: large numbers lie apart from small ones."""

    def __init__(self):
        self.at = {}
        self._lay(0, [("kind", k) for k in KINDS] + [("colour", c) for c in COLOURS] + [("place", p) for p in PLACES])
        self._lay(32, ["ever", *(("count", n) for n in NUMBERS), "matched", "picture"])
        named = [("named", n) for n in [*SHAPES, *COLOURS]]
        self._lay(64, [*named, ("named", None), *(("asks", a) for a in ASKS), "names", "asks", "user", "patch"])
        self._lay(85, [("said", s) for s in ["", "top", "bottom", "all", "I", " see", " no", " picture"]])
        self.free = [d for d in range(40, WIDTH) if d not in self.at.values()]

    def _lay(self, start, names):
        self.at.update({name: start + i for i, name in enumerate(names)})

    def __getitem__(self, name):
        return self.at[name]

    def of(self, kind):
        """{what: number} of one kind of fact."""
        return {name[1]: at for name, at in self.at.items() if isinstance(name, tuple) and name[0] == kind}


AXES = Axes()
# What the encoder says of a patch, in the order of its labels; of what covers nothing it says nothing.
SEEN = [list(AXES.of(kind).values()) for kind in ("kind", "colour", "place", "count")]


def config(vocabulary):
    return Config(len(vocabulary), WIDTH, LAYERS, HEADS, HEADS, HIDDEN, 1024, ROPE_BASE)


def always():
    """What every patch has besides, [width]."""
    out = np.zeros(WIDTH, np.float32)
    out[AXES["ever"]], out[AXES["patch"]] = EVER, 1
    return out


class Head:
    """One head's four matrices, as rows of [numbers of the head, width]; `out` is [width, numbers of the head]."""

    def __init__(self, layer):
        self.usual = USUAL[layer]
        self.q, self.k, self.v = (np.zeros((SIZE, WIDTH), np.float32) for _ in range(3))
        self.out = np.zeros((WIDTH, SIZE), np.float32)
        self.used, self.carried = 6, 0  # pairs 0 and 1 turn too fast, 2 is for how far away

    def match(self, query, key, score):
        """Adds `score` where the query's and the key's sums of {axis: weight} are 1 each."""
        strength = (score * SIZE**0.5) ** 0.5 / self.usual
        for matrix, sums in ((self.q, query), (self.k, key)):
            for axis, weight in sums.items():
                matrix[self.used, axis] = weight * strength
        self.used += 1

    def nearer(self, key, slope):
        """Takes `slope` from the score for each token that lies between."""
        strength = (slope / SLOW * SIZE**0.5) ** 0.5 / self.usual
        self.q[4, AXES["ever"]] = strength / EVER
        for axis in key:
            self.k[5, axis] = -strength

    def carry(self, source, target):
        self.v[self.carried, source] = 1
        self.out[target, self.carried] = 1 / self.usual
        self.carried += 1


def last_word(flag, facts):
    """A head that takes over `facts` of the nearest word with `flag`, or of `user` if none is nearer."""
    head, ever = Head(0), {AXES["ever"]: 1 / EVER}
    head.match(ever, {AXES[flag]: 1, AXES["user"]: 1}, 170)
    head.match(ever, {AXES[flag]: 1}, 5)
    head.nearer([AXES[flag], AXES["user"]], 1.5)
    for fact in facts:
        head.carry(fact, fact)
    return head


def picture():
    """What holds for the whole picture: the mean of its patches."""
    head = Head(0)
    head.match({AXES["ever"]: 1 / EVER}, {AXES["patch"]: 1}, 40)
    for axis in AXES.of("count").values():
        head.carry(axis, axis)
    head.carry(AXES["patch"], AXES["picture"])
    return head


def found(score=25.0, least=None):
    """The patches that show what is named, or anything. With `least`: whether there are some, as much as that."""
    head, named = Head(1), AXES.of("named")
    for name, axis in named.items():
        keys = AXES.of("kind").values() if name is None else [AXES["kind" if name in SHAPES else "colour", name]]
        head.match({axis: 1}, dict.fromkeys(keys, 1), score)
    if least is None:
        for kind in ("kind", "colour", "place"):
            for axis in AXES.of(kind).values():
                head.carry(axis, axis)
    else:
        ever = AXES["ever"]
        head.match({ever: 1 / EVER}, {ever: 1 / EVER, AXES["patch"]: -1}, score * least)
        head.carry(AXES["patch"], AXES["matched"])
    return head


class Speech:
    """The feed-forward part of the second layer, and the output: one hidden unit for each thing that may be said."""

    def __init__(self, vocabulary):
        self.one = lambda text: _one(vocabulary, text)
        self.gate, self.up = (np.zeros((HIDDEN, WIDTH), np.float32) for _ in range(2))
        self.down = np.zeros((WIDTH, HIDDEN), np.float32)
        self.output = np.zeros((len(vocabulary), WIDTH), np.float32)
        self.units, self.axes = 0, {}

    def say(self, token, conditions, of):
        """Says `token` if all conditions hold, the more of the axis there is in `of` = (axis, times, less)."""
        axis, times, less = of
        sums = {AXES[c]: 5.0 for c in conditions}
        sums[AXES["ever"]] = (-5.0 * len(conditions) - less) / EVER
        sums[axis] = times
        for axis, weight in sums.items():
            self.gate[self.units, axis] = weight * 8 / USUAL[1]
        self.up[self.units, AXES["ever"]] = 1 / (EVER * USUAL[1])
        if token not in self.axes:
            self.axes[token] = AXES.free[len(self.axes)]
            self.output[token, self.axes[token]] = 5
        self.down[self.axes[token], self.units] = 3
        self.units += 1

    def follow(self, said, token, strength=15.0):
        self.output[token, AXES["said", said]] = strength


def _speech(vocabulary):
    speech = Speech(vocabulary)
    first, seen = ("said", ""), "picture"
    for kind, axis in AXES.of("kind").items():
        speech.say(speech.one(kind), [("asks", "kind"), first, seen], (axis, 4, 0.8))
    for colour, axis in AXES.of("colour").items():
        speech.say(speech.one(colour), [("asks", "colour"), first, seen], (axis, 4, 0.8))
    for number, axis in AXES.of("count").items():
        speech.say(speech.one(number), [("asks", "count"), first, seen], (axis, 4, 0.8))
    for place, axis in AXES.of("place").items():
        word, *more = place.split(" ")
        speech.say(speech.one(word), [("asks", "where"), first, seen], (axis, 4, 0.8))
        if word in ("top", "bottom"):
            then = speech.one(f" {more[0]}") if more else spm.IM_END
            speech.say(then, [("asks", "where"), ("said", word)], (axis, 4, 0.8))
    speech.say(speech.one("yes"), [("asks", "there"), first, seen], (AXES["matched"], 3, 1.5))
    speech.say(speech.one("no"), [("asks", "there"), first, seen], (AXES["matched"], -3, -1.5))
    words = [vocabulary.tokens[i].replace(spm.SPACE, " ") for i in vocabulary.encode(NO_PICTURE)]
    speech.say(speech.one(words[0]), [first], (AXES["picture"], -3, -1.5))
    for word, after in zip(words, words[1:]):
        speech.follow(word, speech.one(after))
    speech.follow("all", spm.IM_END)
    speech.follow("", speech.one("none"), 1.0)  # where nothing is found
    speech.output[spm.IM_END, AXES["ever"]] = 0.1
    return speech


def _one(vocabulary, text):
    ids = vocabulary.encode(text)
    if len(ids) != 1:
        raise ValueError(f"{text!r} is {len(ids)} tokens of this vocabulary")
    return ids[0]


def _embeddings(vocabulary):
    out = np.zeros((len(vocabulary), WIDTH), np.float32)
    out[:, AXES["ever"]] = EVER

    def tell(text, *axes):
        for axis in axes:
            out[_one(vocabulary, text), AXES[axis]] = 1

    for name in [*SHAPES, *COLOURS]:
        tell(f" {name}", ("named", name), "names")
    for asked, words in ASKS.items():
        for text in words:
            tell(text, ("asks", asked), "asks")
    tell("user", ("named", None), ("asks", "kind"), "user")
    tell("\n", ("said", ""))
    for text in ("I", " see", " no", " picture"):
        tell(text, ("said", text))
    for text in ("top", "bottom"):
        tell(text, ("said", text))
    lasts = [*KINDS, *COLOURS, *NUMBERS, "left", "right", "middle", " left", " right", "yes", "no", "."]
    for text in lasts:
        tell(text, ("said", "all"))
    return out


def weights(vocabulary, least):
    """{GGUF tensor name: float32 array}. `least`: how surely one patch must show a thing for it to be there."""
    named, asks = (list(AXES.of(kind).values()) for kind in ("named", "asks"))
    layers = [
        [last_word("names", named), last_word("asks", asks), picture(), Head(0)],
        [found(), found(least=least), Head(1), Head(1)],
    ]
    speech = _speech(vocabulary)
    ones = np.ones(WIDTH, np.float32)
    out = {"token_embd.weight": _embeddings(vocabulary), "output_norm.weight": ones, "output.weight": speech.output}
    for number, heads in enumerate(layers):
        last = number == len(layers) - 1
        out |= {
            f"blk.{number}.{name}.weight": value
            for name, value in {
                "attn_norm": ones,
                "ffn_norm": ones,
                "attn_q": np.concatenate([h.q for h in heads]),
                "attn_k": np.concatenate([h.k for h in heads]),
                "attn_v": np.concatenate([h.v for h in heads]),
                "attn_output": np.concatenate([h.out for h in heads], 1),
                "ffn_gate": speech.gate * last,
                "ffn_up": speech.up * last,
                "ffn_down": speech.down * last,
            }.items()
        }
    return out
