"""Makes the model that sees: python3 scripts/seeing_model/train.py --seed 3 --out models/seeing

Writes OUT.gguf and OUT.mmproj.gguf, and what came out to made.json. Needs PyTorch 1.13 and numpy (Debian:
python3-torch) and nothing from a network. Encoder and text model learn apart, from labels of
patches, and then together, from answers. From answers alone the encoder would learn many times as slowly: nothing
tells it at first that a picture matters.
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
import torch.nn as nn
import torch.nn.functional as F

import fast
import optimiser as optimisers
import tokenizer as spm
from draw import COLOURS, NUMBERS, PLACES, SHAPES, scene
from eye import Eye, EyeConfig
from gguf import dequantise, is_quantised, metadata, write
from model import Config, Model
from talk import NO_PICTURE, all_texts, askable, word

BATCH = 64
TURNS = 4
LENGTH = 128
WARMUP = 30
IGNORE = -100
CERTAIN = 8.0
ABOUT = ("SecLlama sees", "Answers questions on drawn shapes and digits: which, what colour, how many, where.")
KINDS = [*SHAPES, *"0123456789"]
# What is learned of each patch: kind, colour and place of what covers it most (the last: nothing does), and how many there are.
LABELS = [len(KINDS) + 1, len(COLOURS) + 1, len(PLACES) + 1, len(NUMBERS)]


class Seeing(nn.Module):
    def __init__(self, eye, text):
        super().__init__()
        self.eye, self.text = Eye(eye, text.width), Model(text)
        # Only for the training: one direction for each label. The sum of a patch's is what the encoder learns to say
        # and what the text model learns to read, each without the other.
        own = torch.Generator().manual_seed(0)  # the same for all seeds, so that halves of two trainings fit
        directions = torch.linalg.qr(torch.randn(text.width, sum(LABELS), generator=own))[0].t() * (text.width / len(LABELS)) ** 0.5
        self.codes = nn.ParameterList(directions.split(LABELS))

    @property
    def blocks(self):
        return [*self.eye.blocks, *self.text.blocks]

    def ideal(self, labels):
        """What the encoder should say of patches with these labels, [batch, patches, width]."""
        return sum(F.embedding(labels[..., i], codes) for i, codes in enumerate(self.codes))

    def forward(self, pixels, ids, places, chosen, learns=True):
        """`pixels`, or what is seen of them, [batch, patches, width].

        `places` [batch, time]: which patch stands there, -1 for a token. Returns (logits at `chosen`, what is seen).

        `learns`: whether the encoder does; else only the projector and the text model do.
        """
        seen = pixels if pixels.dim() == 3 else self.eye(pixels, learns)[1]
        index = places.clamp(min=0)[..., None].expand(-1, -1, seen.shape[-1])
        x = torch.where((places >= 0)[..., None], seen.gather(1, index), F.embedding(ids, self.text.token_embd))
        return self.text.run(x, chosen), seen


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
        self.encode = functools.lru_cache(maxsize=None)(vocabulary.encode)  # a few hundred texts

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
        options = askable(things, rng)
        blind = rng.random() < 0.03
        ids, targets = [], []
        for turn in range(1 if blind else TURNS):
            # Each kind of question as often as another: else most would be of places.
            kind = rng.choice(sorted({one[0] for one in options}))
            chosen = [one for one in options if one[0] == kind]
            kind, what, answer = chosen[rng.integers(len(chosen))]
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
        labels = np.empty((count, self.patches, len(LABELS)), np.int64)
        chosen, goals = [], []
        for row in range(count):
            drawn, owners, things, tokens, targets = self.example()
            pixels[row] = drawn.transpose(2, 0, 1)
            tokens = np.asarray(tokens)
            ids[row, : len(tokens)] = np.maximum(tokens, 0)
            places[row, : len(tokens)] = np.where(tokens < 0, -1 - tokens, -1)
            labels[row] = labels_of(things, owners)
            for at, token in targets:
                chosen.append(row * LENGTH + at)
                goals.append(token)
        short = -len(chosen) % 128  # few shapes: oneDNN compiles for each
        arrays = (pixels, ids, places, np.asarray(chosen + [0] * short), np.asarray(goals + [IGNORE] * short), labels)
        return [torch.from_numpy(a) for a in arrays]


def labels_of(things, owners):
    """[patches, kinds of labels]"""
    labels = np.tile([size - 1 for size in LABELS], (len(owners), 1))
    for index, thing in enumerate(things):
        labels[owners == index, :3] = KINDS.index(thing.kind), list(COLOURS).index(thing.colour), PLACES.index(thing.place)
    labels[:, 3] = 0 if things[0].kind.isdigit() else len(things)
    return labels


def patch_loss(model, seen, labels):
    """How far what is seen is from the ideal, and from the right label of each kind."""
    near = sum(F.cross_entropy(logits, labels[..., i].flatten()) for i, logits in enumerate(label_logits(model, seen)))
    return near + 2 * (seen - model.ideal(labels)).square().mean()


def label_logits(model, seen):
    """For each kind of label [patches, labels]: CERTAIN for what is seen ideally."""
    scale = CERTAIN * len(LABELS) / seen.shape[-1]
    return [F.linear(seen.flatten(0, 1), codes) * scale for codes in model.codes]


def blurred(model, labels):
    """The ideal with the faults that an encoder has."""
    wrong = torch.tensor([size - 1 for size in LABELS]).expand_as(labels)
    missed = torch.rand(labels.shape[:2])[..., None] < 0.04
    seen = model.ideal(torch.where(missed, wrong, labels))
    return seen + 0.25 * torch.randn_like(seen)


def loss_of(model, batch, phase):
    """(what is learned from, of the answers, of the patches)"""
    pixels, ids, places, chosen, goals, labels = batch
    if phase == "eye":
        patches = patch_loss(model, model.eye(pixels)[1], labels)
        return patches, torch.zeros(()), patches
    if phase == "text":
        pixels = blurred(model, labels)
    logits, seen = model(pixels, ids, places, chosen)
    answers = F.cross_entropy(logits, goals, ignore_index=IGNORE)
    if phase == "text":
        return answers, answers, torch.zeros(())
    patches = patch_loss(model, seen, labels)
    return answers + 0.2 * patches, answers, patches


@torch.no_grad()
def evaluate(model, vocabulary, seed, count=400, symbols=False):
    """{kind of question: [right, asked]} of first questions on pictures that were not trained on, read back as Q8_0."""
    copy = type(model)(model.eye.config, model.text.config)
    state = {
        k: torch.from_numpy(dequantise(v.numpy())) if is_quantised(k, v) else v for k, v in model.state_dict().items()
    }
    copy.load_state_dict(state)
    talks = Talks(vocabulary, np.random.default_rng(seed), model.eye.config.patches)
    tally, rows = {}, []
    while len(rows) < count:
        things, pixels, owners = scene(talks.rng)
        options = askable(things, talks.rng)
        kind, what, answer = options[talks.rng.integers(len(options))]
        prompt = talks._turn("user", talks.question(word(talks.rng, kind, what)))
        prompt += [spm.IM_START, *talks.encode("assistant\n")]
        if symbols:
            pixels = blurred(model, torch.from_numpy(labels_of(things, owners)[None]))[0].numpy().T
        rows.append((kind, pixels, prompt, [*talks.encode(answer), spm.IM_END]))
    for start in range(0, count, BATCH):
        part = rows[start : start + BATCH]
        pixels = torch.from_numpy(np.stack([np.moveaxis(r[1], -1, 0) for r in part]).astype(np.float32))
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


@torch.no_grad()
def label_shares(model, batch):
    """Which share of the patches that show something each head names rightly, in the order of LABELS."""
    labels = batch[-1].flatten(0, 1)
    shows = labels[:, 0] < len(KINDS)
    logits = label_logits(model, model.eye(batch[0])[1])
    return [round((one.argmax(-1) == labels[:, i])[shows].float().mean().item(), 4) for i, one in enumerate(logits)]


def report(tally):
    right, asked = (sum(v[i] for v in tally.values()) for i in (0, 1))
    return f"{right}/{asked}: " + ", ".join(f"{k} {a}/{b}" for k, (a, b) in sorted(tally.items()))


def learn(model, vocabulary, phase, first, steps, seed, state):
    """One phase, from step `first` on: a rise of the rates, and a fall to almost nothing. Keeps the weights in `state` every 50."""
    learning = {"eye": [model.eye], "text": [model.text], "all": [model.eye, model.text]}
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for part in learning[phase]:
        for parameter in part.parameters():
            parameter.requires_grad_(True)
    optimiser = optimisers.Optimiser(Learning(model))
    talks = Talks(vocabulary, np.random.default_rng([seed, len(phase), first]), model.eye.config.patches)
    started, smooth = time.time(), [None, None]
    for step in range(first, steps):
        loss, *parts = loss_of(model, talks.batch(BATCH), phase)
        loss.backward()
        optimiser.step(min((step - first + 1) / WARMUP, 1.01 - step / steps))
        for i, one in enumerate(parts):
            smooth[i] = one.item() if smooth[i] is None else 0.95 * smooth[i] + 0.05 * one.item()
        if step % 20 == 19:
            print(f"{phase} {step + 1}/{steps}  answers {smooth[0]:.4f}  patches {smooth[1]:.4f}  {time.time() - started:.0f} s", flush=True)
        if step % 50 == 49 or step == steps - 1:
            torch.save(model.state_dict(), state)
        if step % 100 == 99 or step == steps - 1:
            if phase != "text":
                print("labels of patches:", label_shares(model, talks.batch(256)), flush=True)
            if phase != "eye":
                print(report(evaluate(model, vocabulary, 10**6, symbols=phase == "text")), flush=True)


def main():
    options = argparse.ArgumentParser(description="Trains the model that sees and writes it as two GGUF files.")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--seed", type=int, default=3)
    options.add_argument("--out", default="models/seeing")
    options.add_argument("--plan", default="eye:2500,text:1200,all:300", help="what learns, and for how many steps: eye, text, all; FIRST-STEPS goes on")
    options.add_argument("--state", default="build/seeing.state", help="where the weights are kept meanwhile")
    options.add_argument("--resume", action="append", default=[], help="go on from the weights of this file; of a second, the eye")
    options.add_argument("--report", default="scripts/seeing_model/made.json", help="what came out")
    arguments = options.parse_args()
    fast.use()
    torch.set_num_threads(arguments.threads)
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
    for number, file in enumerate(arguments.resume):
        kept = torch.load(file)
        model.load_state_dict({k: v for k, v in kept.items() if number == 0 or k.startswith("eye.")}, strict=number == 0)
    for phase, steps in (part.split(":") for part in arguments.plan.split(",")):
        first, last = map(int, steps.split("-")) if "-" in steps else (0, int(steps))
        learn(model, vocabulary, phase, first, last, arguments.seed, state)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    if arguments.plan.split(",")[-1].split(":")[0] != "all":
        return  # a part of the training
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
