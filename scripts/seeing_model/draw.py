"""Pictures of drawn shapes and digits, with edges of one pixel's softness, and what is true of each.

A picture is a square of 48 units. Shapes never overlap, and none has its centre near the lines between
thirds, so that each has one answer to "where?". What is drawn here is drawn again, by other code, in
runner/engine/vision/testing_drawings.ts: its pictures are the ones that the model is tested with.
"""

import dataclasses

import numpy as np

SIZE = 48
PATCH = 8
SHAPES = ["circle", "square", "triangle", "cross", "ring"]
COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 160, 50),
    "blue": (40, 70, 220),
    "yellow": (240, 215, 30),
    "purple": (150, 40, 180),
    "orange": (245, 135, 20),
}
NUMBERS = ["none", "one", "two", "three", "four"]
ROWS, COLUMNS = ["top", "", "bottom"], ["left", "", "right"]
PLACES = [f"{row} {column}".strip() or "middle" for row in ROWS for column in COLUMNS]
# Seven segments of a digit, between corners of a box of 1 × 2: (x, y) to (x, y).
SEGMENTS = {
    "a": (0, 0, 1, 0),
    "b": (1, 0, 1, 1),
    "c": (1, 1, 1, 2),
    "d": (0, 2, 1, 2),
    "e": (0, 1, 0, 2),
    "f": (0, 0, 0, 1),
    "g": (0, 1, 1, 1),
}
DIGITS = ["abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg"]
MARGIN = 2.0  # units on each side of a line between thirds that no centre lies in


@dataclasses.dataclass(frozen=True)
class Thing:
    kind: str  # one of SHAPES, or a digit
    colour: str
    x: float
    y: float
    radius: float

    @property
    def place(self):
        row, column = ROWS[int(self.y // (SIZE / 3))], COLUMNS[int(self.x // (SIZE / 3))]
        return f"{row} {column}".strip() or "middle"


def _distance(thing, x, y):
    """Signed distances in units from the edge of a thing, less than 0 inside."""
    r, dx, dy = thing.radius, x - thing.x, y - thing.y
    if thing.kind == "circle":
        return np.hypot(dx, dy) - r
    if thing.kind == "square":
        return np.maximum(abs(dx), abs(dy)) - 0.88 * r
    if thing.kind == "ring":
        return abs(np.hypot(dx, dy) - 0.78 * r) - 0.24 * r
    if thing.kind == "cross":
        bar = 0.3 * r
        return np.minimum(np.maximum(abs(dx) - r, abs(dy) - bar), np.maximum(abs(dx) - bar, abs(dy) - r))
    if thing.kind == "triangle":  # its tip is up
        return np.maximum(dy - 0.8 * r, 0.88 * abs(dx) - 0.47 * (dy + r))
    half, thick = 0.5 * r, 0.18 * r
    strokes = []
    for name in DIGITS[int(thing.kind)]:
        x0, y0, x1, y1 = (half * v for v in SEGMENTS[name])
        px, py = dx + half / 2 + 0 * y, dy + half
        along = np.clip((px - x0) * (x1 - x0) + (py - y0) * (y1 - y0), 0, half**2) / half**2
        strokes.append(np.hypot(px - x0 - along * (x1 - x0), py - y0 - along * (y1 - y0)) - thick)
    return np.minimum.reduce(strokes)


def draw(things, background, tones, softness):
    """Pixels [SIZE, SIZE, 3] from 0 to 255, and which thing covers each patch most (-1: none)."""
    pixels = np.broadcast_to(np.asarray(background, np.float32), (SIZE, SIZE, 3)).copy()
    side = SIZE // PATCH
    most, owner = np.full((side, side), 0.06), np.full((side, side), -1)
    for index, (thing, tone) in enumerate(zip(things, tones)):
        # Only the patches that it can reach.
        reach = 1.2 * thing.radius + softness
        top, left = (max(int(v - reach) // PATCH, 0) for v in (thing.y, thing.x))
        bottom, right = (min(int(v + reach) // PATCH + 1, side) for v in (thing.y, thing.x))
        y, x = np.mgrid[PATCH * top : PATCH * bottom, PATCH * left : PATCH * right].astype(np.float32) + 0.5
        cover = np.clip(0.5 - _distance(thing, x, y) / softness, 0, 1)
        part = pixels[PATCH * top : PATCH * bottom, PATCH * left : PATCH * right]
        part += cover[..., None] * (np.asarray(tone, np.float32) - part)
        share = cover.reshape(bottom - top, PATCH, right - left, PATCH).mean((1, 3))
        local = slice(top, bottom), slice(left, right)
        owner[local][share > most[local]] = index
        most[local] = np.maximum(most[local], share)
    return np.rint(pixels), owner.ravel()


def scene(rng, digits=0.3):
    """(things, pixels, owners) of a random picture; `digits`: the share of those that show a digit."""
    if rng.random() < digits:
        kinds, low, high = [str(rng.integers(10))], 10, 15
    else:
        kinds, low, high = [str(k) for k in rng.choice(SHAPES, rng.integers(1, 5))], 5.0, 8.0
    things = []
    while len(things) < len(kinds):
        radius = rng.uniform(low, high)
        reach = 0.72 * radius if kinds[0].isdigit() else radius
        x, y = rng.uniform(reach + 0.5, SIZE - reach - 0.5, 2)
        if min(abs(v - line) for v in (x, y) for line in (SIZE / 3, 2 * SIZE / 3)) < MARGIN:
            continue
        if any(np.hypot(x - o.x, y - o.y) < radius + o.radius + 1 for o in things):
            if rng.random() < 0.02:
                things.clear()  # there may be no room left
            continue
        things.append(Thing(kinds[len(things)], str(rng.choice(list(COLOURS))), x, y, radius))
    grey = rng.choice([255, 250, 235, 215, 60, 30, 0]) + rng.uniform(-8, 8, 3)
    tones = [np.asarray(COLOURS[t.colour]) + rng.uniform(-18, 18, 3) for t in things]
    pixels, owners = draw(things, np.clip(grey, 0, 255), np.clip(tones, 0, 255), rng.uniform(0.2, 1.4))  # scaled down from larger ones they are sharp
    return things, pixels, owners
