"""A small SentencePiece-style ("llama") tokenizer: its training, and llama.cpp's way of applying it.

The vocabulary is learnt by plain byte-pair merging inside words, but *encoding* follows llama.cpp's
`llm_tokenizer_spm` to the letter (highest-scored bigram first, leftmost on a tie, byte fallback for
what is not in the vocabulary), so that the ids seen in training are the ids the engine will produce.
No Unicode normalisation and no space prefix: what is not in the alphabet becomes bytes.
"""

import collections
import heapq
import re

SPACE = "\u2581"  # SentencePiece's visible space
UNK, BOS, EOS = 0, 1, 2
FIRST_BYTE = 3
IM_START, IM_END = 259, 260
FIRST_PIECE = 261
CONTROL = {BOS: "<s>", EOS: "</s>", IM_START: "<|im_start|>", IM_END: "<|im_end|>"}

# GGUF token types
NORMAL, UNKNOWN, CONTROL_TYPE, BYTE = 1, 2, 3, 6

# '<', '>' and '|' are single pieces and never part of a longer one: so the text of a control token can
# never be merged into that token, whatever a user types.
ALPHABET = [SPACE] + [chr(c) for c in range(33, 127)] + list("äöüßéèàçñáíóúâêôåøæ’“”–…")
UNMERGEABLE = set("<>|")


def _words(text):
    """Splits text as merges see it: letters with their leading space, digits and marks one by one."""
    return re.findall(SPACE + r"?[^\W\d_]+|" + SPACE + r"?\d|" + SPACE + r"?[^\w\s]|.", text.replace(" ", SPACE))


def train(texts, vocab_size):
    """Learns a vocabulary from `texts`; ties go to the smaller pair, so the result is deterministic."""
    alphabet = set(ALPHABET)
    counts = collections.Counter(w for t in texts for w in _words(t))
    words = [[list(w), n] for w, n in sorted(counts.items()) if len(w) > 1 and set(w) <= alphabet and not set(w) & UNMERGEABLE]
    pairs, where = collections.Counter(), collections.defaultdict(set)
    for i, (symbols, n) in enumerate(words):
        for pair in zip(symbols, symbols[1:]):
            pairs[pair] += n
            where[pair].add(i)
    merged, seen = [], set(ALPHABET)
    while len(merged) < vocab_size - FIRST_PIECE - len(ALPHABET):
        best = max(pairs, key=lambda p: (pairs[p], p))
        if pairs[best] < 2:
            raise ValueError(f"text too small for {vocab_size} tokens: {len(merged)} merges found")
        joined = best[0] + best[1]
        if joined not in seen:  # two merge paths may give one string
            seen.add(joined)
            merged.append(joined)
        for i in sorted(where.pop(best)):
            symbols, n = words[i]
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] -= n
                if pairs[pair] <= 0:
                    del pairs[pair]
            j = 0
            while j < len(symbols) - 1:
                if (symbols[j], symbols[j + 1]) == best:
                    symbols[j : j + 2] = [joined]
                j += 1
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += n
                where[pair].add(i)
    return Tokenizer(merged + ALPHABET)


class Tokenizer:
    """Encodes and decodes with a fixed vocabulary; `pieces` are in falling order of score."""

    def __init__(self, pieces):
        self.tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] + ["<|im_start|>", "<|im_end|>"]
        self.tokens += pieces
        self.scores = [0.0] * FIRST_PIECE + [-float(i) for i in range(len(pieces))]
        self.types = [NORMAL] * len(self.tokens)
        self.types[UNK] = UNKNOWN
        for i in CONTROL:
            self.types[i] = CONTROL_TYPE
        for b in range(256):
            self.types[FIRST_BYTE + b] = BYTE
        self.ids = {t: i for i, t in enumerate(self.tokens)}

    def __len__(self):
        return len(self.tokens)

    def encode(self, text):
        """Token ids of plain text; control tokens inside `text` stay text (parse_special = false)."""
        chars = list(text.replace(" ", SPACE))
        count = len(chars)
        size = [len(c.encode()) for c in chars]  # in bytes, as llama.cpp compares them
        prev = list(range(-1, count - 1))
        following = list(range(1, count)) + [-1]
        queue, split = [], {}

        def offer(left, right):
            if left < 0 or right < 0:
                return
            joined = chars[left] + chars[right]
            token = self.ids.get(joined)
            if token is not None:
                heapq.heappush(queue, (-self.scores[token], left, right, size[left] + size[right]))
                split[joined] = (chars[left], chars[right])

        for i in range(count - 1):
            offer(i, i + 1)
        while queue:
            _, left, right, total = heapq.heappop(queue)
            if size[left] == 0 or size[right] == 0 or size[left] + size[right] != total:
                continue  # one side was merged meanwhile
            chars[left] += chars[right]
            size[left], size[right] = total, 0
            following[left] = following[right]
            if following[right] >= 0:
                prev[following[right]] = left
            offer(prev[left], left)
            offer(left, following[left])
        ids, i = [], 0 if count else -1
        while i != -1:
            token = self.ids.get(chars[i])
            ids += [token] if token is not None else [FIRST_BYTE + b for b in chars[i].encode()]
            i = following[i]
        return ids

    def decode(self, ids):
        """Text of `ids`, control tokens left out."""
        data = b""
        for i in ids:
            if FIRST_BYTE <= i < FIRST_BYTE + 256:
                data += bytes([i - FIRST_BYTE])
            elif i >= FIRST_PIECE:
                data += self.tokens[i].replace(SPACE, " ").encode()
        return data.decode(errors="replace")
