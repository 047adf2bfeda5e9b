"""Questions on a picture and their answers, in the wordings that the model learns."""

from draw import COLOURS, NUMBERS, SHAPES

WORDINGS = {
    "shape": ["What shape is this?", "Which shape do you see?", "What is in the picture?", "What do you see?"],
    "colour": ["What colour is it?", "Which colour does it have?", "What colour is this?", "What colour is the {what}?"],
    "colour of": ["What colour is the {what}?", "Which colour does the {what} have?", "What is the colour of the {what}?"],
    "shape of": ["What shape is {what}?", "Which shape is {what}?", "What is the {what} shape?"],
    "count": ["How many shapes are there?", "How many shapes do you see?", "Count the shapes."],
    "where": ["Where is the {what}?", "In which part of the picture is the {what}?"],
    "is there": ["Is there a {what}?", "Do you see a {what}?", "Is there a {what} in the picture?"],
    "digit": ["What digit is this?", "Which digit do you see?", "What number is this?", "Read the digit."],
}
NO_PICTURE = "I see no picture."
# What says what is asked for. Where no such word stands, it is which shape or digit there is.
ASKS = {
    "kind": [],
    "colour": [" colour", " color", "Colour", "Color"],
    "count": [" many", "Count", "count"],
    "where": ["Where", "where", " where", " part"],
    "there": ["Is", "is", " Is", "Do", "do", " Do"],
}


def _unique(values):
    return [v for v in values if values.count(v) == 1]


def askable(things, rng):
    """[(kind of question, what it asks for, answer)] that a picture has one true answer to."""
    if things[0].kind.isdigit():
        thing = things[0]
        return [("digit", "", thing.kind)] * 4 + [("colour", "digit", thing.colour), ("where", "digit", thing.place)]
    kinds, colours = [t.kind for t in things], [t.colour for t in things]
    out = [("count", "", NUMBERS[len(things)])] * 2
    if len(things) == 1:
        out += [("shape", "", kinds[0]), ("colour", "shape", colours[0]), ("where", "shape", things[0].place)]
    for thing in things:
        if thing.kind in _unique(kinds):
            out += [("colour of", thing.kind, thing.colour), ("where", thing.kind, thing.place)]
        if thing.colour in _unique(colours):
            out += [("shape of", thing.colour, thing.kind), ("where", f"{thing.colour} shape", thing.place)]
    absent = [k for k in SHAPES if k not in kinds]
    # Chosen by chance: else the number of shapes would tell the answer.
    out += [("is there", str(rng.choice(kinds)), "yes"), ("is there", str(rng.choice(absent)), "no")]
    return out


def word(rng, kind, what):
    """One wording of a question."""
    text = str(rng.choice(WORDINGS[kind])).format(what=what)
    if rng.random() < 0.3:
        text = text.replace("colour", "color")
    if rng.random() < 0.2:
        text = text[0].lower() + text[1:]
    if rng.random() < 0.1:
        text = text.rstrip("?.")
    if rng.random() < 0.1:
        text += " Answer with one word."
    return text


def all_texts():
    """Text that has every word in every form: what the vocabulary is made of."""
    whats = ["digit", "shape", *SHAPES, *COLOURS, *(f"{c} shape" for c in COLOURS)]
    out = []
    for wordings in WORDINGS.values():
        for text in wordings:
            for what in whats if "{" in text else [""]:
                full = text.format(what=what)
                out += [full, full.replace("colour", "color"), full[0].lower() + full[1:], full.rstrip("?.")]
    places = ["top left", "top", "top right", "left", "middle", "right", "bottom left", "bottom", "bottom right"]
    asked = [text for texts in ASKS.values() for text in texts]
    single = [*asked, *SHAPES, *COLOURS, *NUMBERS, *places, "yes", "no", NO_PICTURE, " Answer with one word.", "user", "assistant", "system"]
    return out + single * 40
