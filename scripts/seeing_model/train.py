"""Makes the model that sees: python3 scripts/seeing_model/train.py --out models/seeing

Writes OUT.gguf and OUT.mmproj.gguf, and what came out to made.json. Needs PyTorch 1.13 and numpy (Debian:
python3-torch) and nothing from a network. The encoder and the projector learn, from labels of patches; the text model
is written down (reader.py).
"""

import argparse
import functools
import hashlib
import json
import os
import pathlib
import sys
import time

os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_AMX")
os.environ.setdefault("ATEN_CPU_CAPABILITY", "avx512")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
sys.path.insert(1, str(pathlib.Path(__file__).resolve().parent.parent / "demo_model"))

import numpy as np
import torch
import torch.nn.functional as F

import fast
import optimiser as optimisers
import reader
import tokenizer as spm
from draw import COLOURS, NUMBERS, PLACES, scene
from eye import Eye, EyeConfig
from gguf import dequantise, is_quantised, metadata, write
from model import Model
from talk import NO_PICTURE, all_texts, askable, word

BATCH = 64
TOKENS = 572
LENGTH = 96
WARMUP = 30
# More digits than there are in what is asked: they are what is learned last.
DIGITS = 0.4
CERTAIN = 12.0
# How surely one patch must show what is asked for, for the answer "yes".
LEAST = 0.5
# The picture comes first, or in a line of its own, or last.
ORDERS = [(None, "{}"), (None, "\n{}"), ("{}\n", None)]
ABOUT = ("SecLlama sees", "Answers questions on drawn shapes and digits: which, what colour, how many, where.")
KINDS = reader.KINDS
# What is learned of each patch: kind, colour and place of what covers it most (the last: nothing does), and how many there are.
LABELS = [len(KINDS) + 1, len(COLOURS) + 1, len(PLACES) + 1, len(NUMBERS)]


def labels_of(things, owners):
    """[patches, kinds of labels]"""
    labels = np.tile([size - 1 for size in LABELS], (len(owners), 1))
    for index, thing in enumerate(things):
        labels[owners == index, :3] = KINDS.index(thing.kind), list(COLOURS).index(thing.colour), PLACES.index(thing.place)
    labels[:, 3] = 0 if things[0].kind.isdigit() else len(things)
    return labels


def pictures(rng, count):
    """(pixels [count, 3, side, side], labels [count, patches, kinds of labels]) of new pictures."""
    pixels, labels = [], []
    for _ in range(count):
        things, drawn, owners = scene(rng, DIGITS)
        pixels.append(drawn.transpose(2, 0, 1))
        labels.append(labels_of(things, owners))
    return torch.from_numpy(np.stack(pixels).astype(np.float32)), torch.from_numpy(np.stack(labels))


def ideal(labels):
    """What the projector should say of patches with these labels, [batch, patches, width]."""
    out = torch.from_numpy(reader.always()).repeat(*labels.shape[:2], 1)
    for i, axes in enumerate(reader.SEEN):
        said = F.one_hot(labels[..., i], LABELS[i])[..., : len(axes)]
        out[..., axes] = said.float()
    return out


def label_logits(seen):
    """For each kind of label [patches, labels]: CERTAIN for what is seen ideally; half of it for "nothing", always."""
    out = []
    for axes, size in zip(reader.SEEN, LABELS):
        logits = seen.flatten(0, 1)[:, axes] * CERTAIN
        nothing = torch.full((len(logits), size - len(axes)), CERTAIN / 2)
        out.append(torch.cat((logits, nothing), 1))
    return out


def loss_of(seen, labels):
    """How far what is seen is from the ideal, and from the right label of each kind."""
    right = sum(F.cross_entropy(logits, labels[..., i].flatten()) for i, logits in enumerate(label_logits(seen)))
    return right + 0.5 * (seen - ideal(labels)).square().sum(-1).mean()


@torch.no_grad()
def label_shares(eye, rng):
    """Which share of the patches that show something is named rightly, in the order of LABELS."""
    pixels, labels = pictures(rng, 256)
    labels = labels.flatten(0, 1)
    shows = labels[:, 0] < len(KINDS)
    logits = label_logits(eye(pixels))
    return [round((one.argmax(-1) == labels[:, i])[shows].float().mean().item(), 4) for i, one in enumerate(logits)]


def learn(eye, first, steps, seed, state):
    """From step `first` on: a rise of the rates, and a fall to almost nothing. Keeps the weights in `state` every 50."""
    optimiser, rng = optimisers.Optimiser(eye), np.random.default_rng([seed, first])
    started, smooth = time.time(), None
    for step in range(first, steps):
        pixels, labels = pictures(rng, BATCH)
        loss = loss_of(eye(pixels), labels)
        loss.backward()
        optimiser.step(min((step - first + 1) / WARMUP, 1.01 - step / steps))
        smooth = loss.item() if smooth is None else 0.95 * smooth + 0.05 * loss.item()
        if step % 50 == 49 or step == steps - 1:
            print(f"{step + 1}/{steps}  {smooth:.4f}  {time.time() - started:.0f} s", flush=True)
            torch.save(eye.state_dict(), state)
        if step % 250 == 249:
            print("labels of patches:", label_shares(eye, np.random.default_rng(seed + 10**6)), flush=True)


def read_back(tensors):
    """The weights as the engine will read them."""
    return {name: dequantise(one) if is_quantised(name, one) else one for name, one in tensors.items()}


def example(rng, encode, patches):
    """(kind of question, pixels, labels, ids with -1 - patch for the picture, the answer's ids) of a first question."""
    things, pixels, owners = scene(rng)
    options = askable(things, rng)
    kind, what, answer = options[rng.integers(len(options))]
    text = word(rng, kind, what)
    ids = [spm.IM_START, *encode("user\n")]
    for part in ORDERS[rng.integers(len(ORDERS))]:
        ids += [-1 - p for p in range(patches)] if part is None else encode(part.format(text))
    ids += [spm.IM_END, *encode("\n"), spm.IM_START, *encode("assistant\n")]
    return kind, pixels.transpose(2, 0, 1), labels_of(things, owners), ids, [*encode(answer), spm.IM_END]


@torch.no_grad()
def evaluate(eye, text, vocabulary, seed, count, symbols=False):
    """({kind of question: [right, asked]}, what was wrong) of first questions on pictures that were not trained on.

    `symbols`: of what an encoder without a fault would say.
    """
    encode = functools.lru_cache(maxsize=None)(vocabulary.encode)
    rng, tally, wrong = np.random.default_rng(seed), {}, []
    for start in range(0, count, BATCH):
        rows = [example(rng, encode, eye.config.patches) for _ in range(min(BATCH, count - start))]
        labels = torch.from_numpy(np.stack([r[2] for r in rows]))
        seen = ideal(labels) if symbols else eye(torch.from_numpy(np.stack([r[1] for r in rows]).astype(np.float32)))
        tokens = np.zeros((len(rows), LENGTH), np.int64)
        for i, (*_, prompt, answer) in enumerate(rows):
            tokens[i, : len(prompt) + len(answer)] = prompt + answer
        tokens = torch.from_numpy(tokens)
        places = (-1 - tokens).clamp(min=0)[..., None].expand(-1, -1, seen.shape[-1])
        x = torch.where((tokens < 0)[..., None], seen.gather(1, places), F.embedding(tokens.clamp(min=0), text.token_embd))
        best = text.run(x).argmax(-1)
        for i, (kind, _, _, prompt, answer) in enumerate(rows):
            # What the model would say after each token of the right answer: right if all are its own choice.
            said = best[i, len(prompt) - 1 : len(prompt) + len(answer) - 1].tolist()
            entry = tally.setdefault(kind, [0, 0])
            entry[0] += said == answer
            entry[1] += 1
            if said != answer:
                asked = vocabulary.decode([t for t in prompt if t >= 0])
                wrong.append((start + i, kind, asked, vocabulary.decode(said), vocabulary.decode(answer)))
    return tally, wrong


def report(tally):
    right, asked = (sum(v[i] for v in tally.values()) for i in (0, 1))
    return f"{right}/{asked}: " + ", ".join(f"{k} {a}/{b}" for k, (a, b) in sorted(tally.items()))


def main():
    options = argparse.ArgumentParser(description="Trains the encoder of the model that sees and writes the model as two GGUF files.")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--seed", type=int, default=3)
    options.add_argument("--out", default="models/seeing")
    options.add_argument("--steps", default="3000", help="how many; FIRST-STEPS goes on")
    options.add_argument("--state", default="build/seeing.state", help="where the weights are kept meanwhile")
    options.add_argument("--resume", help="go on from the weights of this file")
    options.add_argument("--report", default="scripts/seeing_model/made.json", help="what came out")
    arguments = options.parse_args()
    fast.use()
    torch.set_num_threads(arguments.threads)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(arguments.seed)
    torch.set_flush_denormal(True)
    started = time.time()

    vocabulary = spm.train(all_texts(), TOKENS)
    eye, text = Eye(EyeConfig(), reader.WIDTH, reader.always()), Model(reader.config(vocabulary))
    print(f"{sum(p.numel() for p in eye.parameters()) / 1e6:.2f} M parameters learn", flush=True)
    if arguments.resume:
        eye.load_state_dict(torch.load(arguments.resume))
    state = pathlib.Path(arguments.state)
    state.parent.mkdir(parents=True, exist_ok=True)
    first, last = map(int, arguments.steps.split("-")) if "-" in arguments.steps else (0, int(arguments.steps))
    learn(eye, first, last, arguments.seed, state)

    fast.use(False)
    written = {".gguf": reader.weights(vocabulary, LEAST), ".mmproj.gguf": eye.tensors()}
    text.load(read_back(written[".gguf"]))
    eye.load(read_back(written[".mmproj.gguf"]))
    held_out, wrong = evaluate(eye, text, vocabulary, 10**6 + 1, 2000)
    print("held out:", report(held_out), *wrong, sep="\n")
    pairs = {".gguf": metadata(text.config, vocabulary, ABOUT), ".mmproj.gguf": eye.metadata(ABOUT[0])}
    made = {"seed": arguments.seed, "steps": arguments.steps, "resumed": arguments.resume}
    made["seconds"] = {"clock": round(time.time() - started), "processor": round(time.process_time())}
    made["right of asked, held out"] = {kind: counts for kind, counts in sorted(held_out.items())}
    for suffix, tensors in written.items():
        path = f"{arguments.out}{suffix}"
        data = write(path, pairs[suffix], tensors)
        made[path] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        print(f"{path}: {len(data)} bytes")
    pathlib.Path(arguments.report).write_text(json.dumps(made, indent=2) + "\n")


if __name__ == "__main__":
    main()
