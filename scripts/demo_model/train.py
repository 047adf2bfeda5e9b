"""Makes the demo model: python3 scripts/demo_model/train.py --seed 7 --out models/demo.gguf

Needs PyTorch 1.13 and numpy (Debian: python3-torch) and nothing from a network. The same seed and steps
give the same file, byte for byte, on the same versions and a similar processor.

--from FILE goes on from the weights (and the vocabulary) of a file that this made, for a new topic or answer:
    python3 scripts/demo_model/train.py --from models/demo.gguf --steps 500 --out models/demo.gguf
"""

import argparse
import hashlib
import math
import os
import pathlib
import random
import time

# oneDNN and ATen choose kernels by processor: a common ceiling makes more machines agree, at no cost here.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")
os.environ.setdefault("ATEN_CPU_CAPABILITY", "avx2")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # else each wait for a busy core is spent spinning on the other

import torch
import torch.nn.functional as F

import tokenizer as spm
from data import Encoder, conversation, vocabulary_text
from evaluate import check_expectations, evaluate, quantised
from gguf import metadata, read, write
from model import Config, Model
from optimiser import Optimiser

THREADS = 2  # part of the recipe: another number sums in another order, and with 1 PyTorch does not use oneDNN
BATCH_TOKENS = 3072
POOL = 512  # conversations sorted by length together, so that little is padding
WARMUP = 40
FINE_TUNING = 0.3  # of the peak rates, where the weights are there already


def batches(encoder, rng):
    """Endless (ids [batch, time], flat positions, target ids, target weights).

    Times are multiples of 16 and batches always full: oneDNN compiles kernels for each new shape, which
    with free shapes took longer than the training.
    """
    rest = []
    while True:
        made, waiting = [], {}
        for example in rest + [encoder.example(conversation(rng)) for _ in range(POOL)]:
            width = -(-len(example[0]) // 16) * 16
            width = width if width <= 128 else -(-width // 64) * 64
            waiting.setdefault(width, []).append(example)
        rest = []
        for width, examples in waiting.items():
            count = max(1, BATCH_TOKENS // width)
            while len(examples) >= count:
                made.append((width, examples[:count]))
                del examples[:count]
            rest += examples
        rng.shuffle(made)
        for width, group in made:
            ids = torch.zeros(len(group), width, dtype=torch.long)
            chosen, targets, counts = [], [], []
            for row, (tokens, weights) in enumerate(group):
                ids[row, : len(tokens)] = torch.tensor(tokens)
                for i, weight in enumerate(weights):
                    if weight:
                        chosen.append(row * width + i - 1)
                        targets.append(tokens[i])
                        counts.append(weight)
            # Padded to a round number with targets that count nothing, again for the sake of few shapes.
            short = [0] * (-len(chosen) % 128)
            yield ids, torch.tensor(chosen + short), torch.tensor(targets + short), torch.tensor(counts + short)


def schedule(step, steps):
    """The share of the peak rates at `step`: a short rise, then linearly down to almost nothing."""
    return min((step + 1) / WARMUP, 1.01 - step / steps)


def train(model, encoder, rng, steps, peak, checkpoint):
    source = batches(encoder, rng)
    started = time.time()
    optimiser = Optimiser(model)
    smooth, seen = None, 0
    for step in range(steps):
        if step == steps // 3:
            encoder.question_weight = 0.0
        ids, chosen, targets, weights = next(source)
        losses = F.cross_entropy(model(ids, chosen), targets, reduction="none")
        loss = (losses * weights).sum() / weights.sum()
        loss.backward()
        optimiser.step(peak * schedule(step, steps))
        seen += ids.numel()
        smooth = loss.item() if smooth is None else 0.95 * smooth + 0.05 * loss.item()
        if step % 50 == 49 or step == steps - 1:
            print(f"step {step + 1}/{steps}  loss {smooth:.4f}  {seen / 1e6:.2f} M tokens  {time.time() - started:.0f} s", flush=True)
        if step % 100 == 99 and step < steps - 1:
            checkpoint()


def report(model, tokenizer, part, details=True):
    result = evaluate(quantised(model), tokenizer, part, details)
    for topic, question, reply in result["wrong"]:
        print(f"  wrong [{topic}] {question!r}" + (f" -> {reply[:60]!r}" if details else ""))
    on, off = result["on_topic"], result["off_topic"]
    name = "held-out" if part == "questions" else part
    print(f"{name}: rewordings answered right {on[0]}/{on[1]}, off-topic refused {off[0]}/{off[1]}", flush=True)


def main():
    options = argparse.ArgumentParser(description="Trains the SecLlama demo model and writes it as GGUF.")
    options.add_argument("--seed", type=int, default=7)
    options.add_argument("--out", default="models/demo.gguf")
    options.add_argument("--steps", type=int, default=1700)
    options.add_argument("--from", dest="start", metavar="FILE", help="a file that this made, to go on from")
    arguments = options.parse_args()

    check_expectations()
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(arguments.seed)
    torch.set_flush_denormal(True)
    rng = random.Random(arguments.seed)
    started = time.time()

    config = Config()
    model = Model(config)
    if arguments.start:
        pieces, arrays = read(arguments.start)
        vocabulary = spm.Tokenizer(pieces)
        model.load(arrays)
    else:
        vocabulary = spm.train(vocabulary_text(rng, 400), config.vocab)
    count = sum(p.numel() for p in model.parameters())
    print(f"{len(vocabulary)} tokens, {count / 1e6:.2f} M parameters, {time.time() - started:.0f} s", flush=True)

    def checkpoint():
        report(model, vocabulary, "dev", details=False)
        write(f"{arguments.out}.partial", metadata(config, vocabulary), model.tensors())

    encoder = Encoder(vocabulary)
    if arguments.start:
        encoder.question_weight = 0.0  # which words are alike was learnt before
    train(model, encoder, rng, arguments.steps, FINE_TUNING if arguments.start else 1.0, checkpoint)
    print(f"trained in {time.time() - started:.0f} s")
    for part in ("canonical", "dev", "questions"):
        report(model, vocabulary, part)
    data = write(arguments.out, metadata(config, vocabulary), model.tensors())
    pathlib.Path(f"{arguments.out}.partial").unlink(missing_ok=True)
    print(f"{arguments.out}: {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
