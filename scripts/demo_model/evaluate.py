"""The eval: greedy answers to the questions of eval.json, on the weights as the file holds them (Q8_0)."""

import torch

from data import EVAL, Encoder
from gguf import dequantise
from tokenizer import IM_END
from topics import OFF_TOPIC, TOPICS, answer


def check_expectations():
    """Each topic's `expect` is in its answer and in no other."""
    names = [*TOPICS, OFF_TOPIC]
    if sorted(names) != sorted(EVAL["topics"]):
        raise ValueError("eval.json and topics.py name different topics")
    for name in names:
        having = [n for n in names if EVAL["topics"][name]["expect"] in answer(n)]
        if having != [name]:
            raise ValueError(f"eval.json: the expected text of {name} is in the answers of {having}")


def quantised(model):
    """A copy of `model` with the weights that the GGUF file gives back."""
    copy = type(model)(model.config)
    state = {k: torch.from_numpy(dequantise(v.numpy())) if v.dim() == 2 else v for k, v in model.state_dict().items()}
    copy.load_state_dict(state)
    return copy.eval()


def _batches(rows, size=16):
    """(indices, padded ids) of rows of about one length; what follows a row cannot influence it."""
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    for start in range(0, len(order), size):
        members = order[start : start + size]
        width = -(-len(rows[members[-1]]) // 32) * 32
        ids = torch.zeros(len(members), width, dtype=torch.long)
        for row, i in enumerate(members):
            ids[row, : len(rows[i])] = torch.tensor(rows[i])
        yield members, ids


@torch.no_grad()
def says(model, prompts, replies):
    """Whether greedy decoding of each prompt gives exactly that reply: each of its tokens is the likeliest one
    after those before it. One pass instead of one for each token."""
    out = [False] * len(prompts)
    for members, ids in _batches([p + r for p, r in zip(prompts, replies)]):
        best = model(ids).argmax(-1)
        for row, i in enumerate(members):
            start, end = len(prompts[i]), len(prompts[i]) + len(replies[i])
            out[i] = best[row, start - 1 : end - 1].tolist() == replies[i]
    return out


@torch.no_grad()
def complete(model, tokenizer, prompts, limit=72):
    """Greedy answers to prompts (lists of ids), without a cache: slow, for the few that are wrong."""
    out = [None] * len(prompts)
    for members, ids in _batches([p + [0] * limit for p in prompts]):
        lengths = torch.tensor([len(prompts[i]) for i in members])
        rows, done = torch.arange(len(members)), torch.zeros(len(members), dtype=torch.bool)
        for n in range(limit):
            following = model(ids, rows * ids.shape[1] + lengths + n - 1).argmax(-1)
            ids[rows, lengths + n] = following
            done |= following == IM_END
            if done.all():
                break
        for row, i in enumerate(members):
            reply = ids[row, len(prompts[i]) : len(prompts[i]) + limit].tolist()
            out[i] = tokenizer.decode(reply[: reply.index(IM_END)] if IM_END in reply else reply)
    return out


MAX_DETAILS = 40  # an untrained model gets all wrong, and decoding what it says instead takes longer than it is worth


def evaluate(model, tokenizer, part="questions", details=True):
    """{"on_topic": [right, all], "off_topic": [right, all], "wrong": [(topic, question, reply)]}."""
    encoder = Encoder(tokenizer)
    cases = [(topic, q) for topic, t in EVAL["topics"].items() for q in t[part]]
    prompts = [encoder.prompt([("user", q)]) for _, q in cases]
    right = says(model, prompts, [[*tokenizer.encode(answer(topic)), IM_END] for topic, _ in cases])
    wrong = [i for i, ok in enumerate(right) if not ok]
    details = details and len(wrong) <= MAX_DETAILS
    replies = complete(model, tokenizer, [prompts[i] for i in wrong]) if details else [""] * len(wrong)
    result = {"on_topic": [0, 0], "off_topic": [0, 0]}
    for (topic, _), ok in zip(cases, right):
        score = result["off_topic" if topic == OFF_TOPIC else "on_topic"]
        score[0] += ok
        score[1] += 1
    result["wrong"] = [(*cases[i], reply) for i, reply in zip(wrong, replies)]
    return result
