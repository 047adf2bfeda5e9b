"""Makes the model that sees: python3 scripts/seeing_model/train.py --seed 3 --out models/seeing

Writes OUT.gguf and OUT.mmproj.gguf, and what came out to made.json. Needs PyTorch 1.13 and numpy (Debian:
python3-torch) and nothing from a network. The encoder learns first, from what each patch shows; then projector
and text model learn from answers; then all together. From answers alone the encoder would learn many times as
slowly: nothing tells it at first that a picture matters.
"""

import argparse
import hashlib
import json
import os
import pathlib
import sys
import time

os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE")
os.environ.setdefault("ATEN_CPU_CAPABILITY", "avx512")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
sys.path.insert(1, str(pathlib.Path(__file__).resolve().parent.parent / "demo_model"))

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import tokenizer as spm
from draw import COLOURS, SHAPES, scene
from eye import Eye, EyeConfig, Linear
from gguf import dequantise, is_quantised, metadata, write
from model import Config, Model
from optimiser import Optimiser
from talk import NO_PICTURE, all_texts, askable, word

THREADS = 2
BATCH = 96
TURNS = 4
LENGTH = 128
WARMUP = 30
IGNORE = -100
ABOUT = ("SecLlama sees", "Answers questions on drawn shapes and digits: which, what colour, how many, where.")
KINDS = [*SHAPES, *"0123456789"]


class Seeing(nn.Module):
    def __init__(self, eye, text):
        super().__init__()
        self.eye, self.text = Eye(eye, text.width), Model(text)
        # Only for the training: what a patch shows.
        self.kind, self.colour = Linear(eye.width, len(KINDS) + 1), Linear(eye.width, len(COLOURS) + 1)

    @property
    def blocks(self):
        return [*self.eye.blocks, *self.text.blocks]

    def forward(self, pixels, ids, places, chosen, learns=True):
        """`places` [batch, time]: which patch stands there, -1 for a token. Returns (logits at `chosen`, features).

        `learns`: whether the encoder does; else only the projector and the text model do.
        """
        features, seen = self.eye(pixels, learns)
        index = places.clamp(min=0)[..., None].expand(-1, -1, seen.shape[-1])
        x = torch.where((places >= 0)[..., None], seen.gather(1, index), F.embedding(ids, self.text.token_embd))
        return self.text.run(x, chosen), features


class Learning:
    """The parameters that learn, as the optimiser wants them."""

    def __init__(self, model):
        blocks = [Chosen(block) for block in model.blocks]
        self.blocks = [block for block in blocks if block.chosen]
        self.chosen = [p for p in model.parameters() if p.requires_grad]

    def parameters(self):
        return self.chosen


class Chosen:
    def __init__(self, block):
        self.chosen = [p for p in block.parameters() if p.requires_grad]

    def parameters(self):
        return self.chosen


class Talks:
    """Random pictures, and conversations on them."""

    def __init__(self, vocabulary, rng, patches):
        self.rng, self.patches = rng, patches
        self.encode = vocabulary.encode

    def _turn(self, role, parts):
        ids = [spm.IM_START, *self.encode(f"{role}\n")]
        for part in parts:
            ids += [-1 - p for p in range(self.patches)] if part is None else self.encode(part)
        return ids + [spm.IM_END, *self.encode("\n")]

    def question(self, text):
        """Parts of a first question, the picture (None) among them."""
        kind = self.rng.random()
        if kind < 0.4:
            return [None, text]
        return [None, f"\n{text}"] if kind < 0.75 else [f"{text}\n", None]

    def example(self):
        """(pixels, owners, things, ids with -1 - patch for pictures, [(position, target)])."""
        rng = self.rng
        things, pixels, owners = scene(rng)
        options = askable(things)
        blind = rng.random() < 0.03
        ids, targets = [], []
        for turn in range(1 if blind else TURNS):
            kind, what, answer = options[rng.integers(len(options))]
            text = word(rng, kind, what)
            asked = self._turn("user", [text] if blind or turn > 0 else self.question(text))
            opened = [spm.IM_START, *self.encode("assistant\n")]
            said = [*self.encode(NO_PICTURE if blind else answer), spm.IM_END]
            if len(ids) + len(asked) + len(opened) + len(said) > LENGTH:
                break
            ids += asked + opened
            targets += [(len(ids) - 1 + i, token) for i, token in enumerate(said)]
            ids += [*said, *self.encode("\n")]
        return pixels, owners, things, ids[:LENGTH], targets

    def batch(self, count):
        pixels = np.zeros((count, 3, 48, 48), np.float32)
        ids, places = np.zeros((count, LENGTH), np.int64), np.full((count, LENGTH), -1, np.int64)
        kinds = np.full((count, self.patches), len(KINDS), np.int64)
        colours = np.full((count, self.patches), len(COLOURS), np.int64)
        chosen, goals = [], []
        for row in range(count):
            drawn, owners, things, tokens, targets = self.example()
            pixels[row] = drawn.transpose(2, 0, 1)
            tokens = np.asarray(tokens)
            ids[row, : len(tokens)] = np.maximum(tokens, 0)
            places[row, : len(tokens)] = np.where(tokens < 0, -1 - tokens, -1)
            for index, thing in enumerate(things):
                kinds[row, owners == index] = KINDS.index(thing.kind)
                colours[row, owners == index] = list(COLOURS).index(thing.colour)
            for at, token in targets:
                chosen.append(row * LENGTH + at)
                goals.append(token)
        short = -len(chosen) % 128  # few shapes: oneDNN compiles for each
        arrays = (pixels, ids, places, np.asarray(chosen + [0] * short), np.asarray(goals + [IGNORE] * short), kinds, colours)
        return [torch.from_numpy(a) for a in arrays]


def patch_loss(model, features, kinds, colours):
    loss = F.cross_entropy(model.kind(features).flatten(0, 1), kinds.flatten())
    return loss + F.cross_entropy(model.colour(features).flatten(0, 1), colours.flatten())


def loss_of(model, batch, phase):
    """(what is learned from, of the answers, of the patches)"""
    pixels, ids, places, chosen, goals, kinds, colours = batch
    if phase == "eye":
        patches = patch_loss(model, model.eye(pixels)[0], kinds, colours)
        return patches, torch.zeros(()), patches
    logits, features = model(pixels, ids, places, chosen, learns=phase == "all")
    answers = F.cross_entropy(logits, goals, ignore_index=IGNORE)
    if phase == "text":
        return answers, answers, torch.zeros(())
    patches = patch_loss(model, features, kinds, colours)
    return answers + 0.5 * patches, answers, patches


@torch.no_grad()
def evaluate(model, vocabulary, seed, count=400):
    """{kind of question: [right, asked]} of first questions on pictures that were not trained on, read back as Q8_0."""
    copy = type(model)(model.eye.config, model.text.config)
    state = {
        k: torch.from_numpy(dequantise(v.numpy())) if is_quantised(k, v) else v for k, v in model.state_dict().items()
    }
    copy.load_state_dict(state)
    talks = Talks(vocabulary, np.random.default_rng(seed), model.eye.config.patches)
    tally, rows = {}, []
    while len(rows) < count:
        things, pixels, _ = scene(talks.rng)
        options = askable(things)
        kind, what, answer = options[talks.rng.integers(len(options))]
        prompt = talks._turn("user", talks.question(word(talks.rng, kind, what)))
        prompt += [spm.IM_START, *talks.encode("assistant\n")]
        rows.append((kind, pixels, prompt, [*talks.encode(answer), spm.IM_END]))
    for start in range(0, count, BATCH):
        part = rows[start : start + BATCH]
        pixels = torch.from_numpy(np.stack([r[1].transpose(2, 0, 1) for r in part]).astype(np.float32))
        tokens = np.zeros((len(part), LENGTH), np.int64)
        for i, (_, _, prompt, answer) in enumerate(part):
            tokens[i, : len(prompt) + len(answer)] = prompt + answer
        ids, places = torch.from_numpy(np.maximum(tokens, 0)), torch.from_numpy(np.where(tokens < 0, -1 - tokens, -1))
        best = copy(pixels, ids, places, None)[0].argmax(-1)
        for i, (kind, _, prompt, answer) in enumerate(part):
            # What the model would say after each token of the right answer: right if all are its own choice.
            said = best[i, len(prompt) - 1 : len(prompt) + len(answer) - 1].tolist()
            entry = tally.setdefault(kind, [0, 0])
            entry[0] += said == answer
            entry[1] += 1
    return tally


def report(tally):
    right, asked = (sum(v[i] for v in tally.values()) for i in (0, 1))
    return f"{right}/{asked}: " + ", ".join(f"{k} {a}/{b}" for k, (a, b) in sorted(tally.items()))


def learn(model, vocabulary, phase, steps, seed, state):
    """One phase: a rise of the rates, and a fall to almost nothing. Keeps the weights in `state` every 100 steps."""
    learning = {"eye": [model.eye, model.kind, model.colour], "text": [model.text, model.eye.mm0, model.eye.mm2], "all": [model]}
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for part in learning[phase]:
        for parameter in part.parameters():
            parameter.requires_grad_(True)
    optimiser = Optimiser(Learning(model))
    talks = Talks(vocabulary, np.random.default_rng([seed, len(phase)]), model.eye.config.patches)
    started, smooth = time.time(), [None, None]
    for step in range(steps):
        loss, *parts = loss_of(model, talks.batch(BATCH), phase)
        loss.backward()
        optimiser.step(min((step + 1) / WARMUP, 1.01 - step / steps))
        for i, one in enumerate(parts):
            smooth[i] = one.item() if smooth[i] is None else 0.95 * smooth[i] + 0.05 * one.item()
        if step % 20 == 19:
            print(f"{phase} {step + 1}/{steps}  answers {smooth[0]:.4f}  patches {smooth[1]:.4f}  {time.time() - started:.0f} s", flush=True)
        if step % 100 == 99 or step == steps - 1:
            torch.save(model.state_dict(), state)
            if phase != "eye":
                print(report(evaluate(model, vocabulary, 10**6)), flush=True)


def main():
    options = argparse.ArgumentParser(description="Trains the model that sees and writes it as two GGUF files.")
    options.add_argument("--seed", type=int, default=3)
    options.add_argument("--out", default="models/seeing")
    options.add_argument("--plan", default="eye:400,text:400,all:300", help="what learns, and for how many steps: eye, text, all")
    options.add_argument("--state", default="build/seeing.state", help="where the weights are kept meanwhile")
    options.add_argument("--resume", action="store_true", help="go on from the weights that are kept")
    options.add_argument("--report", default="scripts/seeing_model/made.json", help="what came out")
    arguments = options.parse_args()
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(arguments.seed)
    torch.set_flush_denormal(True)
    started = time.time()

    vocabulary = spm.train(all_texts(), 560)
    text = Config(vocab=len(vocabulary), width=96, layers=3, heads=3, kv_heads=3, hidden=256, context=1024)
    model = Seeing(EyeConfig(), text)
    print(f"{len(vocabulary)} tokens, {sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters", flush=True)
    state = pathlib.Path(arguments.state)
    state.parent.mkdir(parents=True, exist_ok=True)
    if arguments.resume:
        model.load_state_dict(torch.load(state))
    for phase, steps in (part.split(":") for part in arguments.plan.split(",")):
        learn(model, vocabulary, phase, int(steps), arguments.seed, state)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    held_out = evaluate(model, vocabulary, 10**6 + 1, 2000)
    print("held out:", report(held_out), flush=True)
    files = {
        f"{arguments.out}.gguf": (metadata(text, vocabulary, ABOUT), model.text.tensors()),
        f"{arguments.out}.mmproj.gguf": (model.eye.metadata(ABOUT[0]), model.eye.tensors()),
    }
    made = {"seed": arguments.seed, "plan": arguments.plan, "resumed": arguments.resume}
    made["seconds"] = {"clock": round(time.time() - started), "processor": round(time.process_time())}
    made["right of asked, held out"] = {kind: counts for kind, counts in sorted(held_out.items())}
    for path, (pairs, tensors) in files.items():
        data = write(path, pairs, tensors)
        made[path] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        print(f"{path}: {len(data)} bytes")
    pathlib.Path(arguments.report).write_text(json.dumps(made, indent=2) + "\n")


if __name__ == "__main__":
    main()
