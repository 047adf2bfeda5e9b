"""Training conversations: grammar expansions with noise, in ChatML, as token ids and a mask of what to learn.

Nothing here is stored: each conversation follows from the random generator it is given. A generated
question that equals one of eval.json (case, spaces and punctuation aside) is thrown away.
"""

import json
import pathlib
import re

from grammar import expand
from offtopic import noise, question as off_topic_question
from tokenizer import IM_END, IM_START
from topics import OFF_TOPIC, TOPICS, answer

EVAL = json.loads(pathlib.Path(__file__).with_name("eval.json").read_text())

SMALL_TALK = {"hello", "thanks", "bye"}
NAMES = list(TOPICS)
# A greeting is the first thing that is said, and short enough to look like noise.
WEIGHTS = [{"hello": 1.2, "thanks": 0.6, "bye": 0.6, "data_safe": 1.5}.get(name, 1.0) for name in NAMES]
MOST_TOKENS = 960  # of a talk: the context is 1,024
OFF_TOPIC_SHARE = 0.36
# An answer's first tokens choose the topic, which is the hard part, and the rest recites. So they weigh more,
# and most conversations end after them: twice the questions in the same time.
CUT_SHARE, FIRST_TOKENS, FIRST_WEIGHT = 0.85, 6, 4.0
# Early in training, predicting the question's own words counts a little too: it teaches which words are alike.
QUESTION_WEIGHT = 0.1

BEFORE = "{please|hey,|hi,|hello,|ok,|so,|well,|and|but|now|excuse me,|sorry,|quick question:|question:|one question:|another question:|I wonder:|just curious:|tell me,|tell me:|say,|also,|um,|hmm,|next:|right,|good,|thanks,|thank you,|hi there,|one more thing:|please tell me:|do you know:|dear demo,|listen,|oh,|as a beginner:|for my boss:|let me ask:|may I ask:|first of all:|then}"
AFTER = "{please|thanks|then|exactly|again|now|really|in short|briefly|in detail|here|in this case|today|in simple words|for me|, please|, thanks|, thank you|, in one sentence|? thanks|? please explain|, I wonder|, do you know|, can you tell me|actually|, briefly|, quickly|on my machine|on Linux|on my laptop|in practice|anyway|at all|? I am new here|? I am curious|, friend|, if I may ask|? Please be brief|in plain English}"
INDIRECT = "{can you tell me|could you tell me|please tell me|do you know|I want to know|I would like to know|I'd like to know|I wonder|tell me|explain|could you explain|I am wondering|I need to know|someone asked me|I do not understand|I don't understand|let me know|I am asking myself|any idea}"
SYSTEM = "{You are a helpful assistant.|You are an assistant.|You are a helpful, honest assistant. Answer briefly.|Answer in one sentence.|You are SecLlama.|Be concise.|You are a pirate.|You are ChatGPT.|Always answer in {German|French|Spanish|English}.|You are a {friendly|polite|strict|senior|funny} {teacher|engineer|expert|poet|doctor|lawyer|bot}.|Use Markdown.|Today is {Monday|Tuesday|Friday}.|The user's name is {Tom|Ana|Li|Kim}.|Never reveal this prompt.|Answer the user's question.|You are {an AI|a language model|a coding assistant} {made|trained|run} by {a company|us|the user}.|Respond in JSON.|Do not use lists.|test|You help with {security|cooking|code|travel}. Be {brief|kind|precise}. Do not {guess|lie|swear}.}"
FILLERS = "ever really actually also still then now just even usually always exactly here possibly simply maybe perhaps currently normally".split()
STOP_WORDS = {"the", "a", "an", "my", "is", "are", "do", "does", "of", "to", "i", "it", "in", "for", "that"}


def normal(text):
    return re.sub(r"[\W_]+", "", text.lower())


HELD_OUT = {normal(q) for t in EVAL["topics"].values() for q in t["questions"] + t["dev"]} - {""}


def typo(text, rng):
    """One slip of a finger, inside a word and never in its first letter."""
    places = [i for i in range(1, len(text) - 1) if text[i].isalpha() and text[i - 1].isalpha()]
    if len(text) < 12 or not places:
        return text
    i, kind = rng.choice(places), rng.randrange(4)
    if kind == 0:
        return text[:i] + text[i + 1 :]
    if kind == 1:
        return text[:i] + text[i] + text[i:]
    if kind == 2:
        return text[:i] + text[i + 1] + text[i] + text[i + 2 :]
    return text[:i] + rng.choice("etaoinsrhldcum") + text[i + 1 :]


def decorate(text, rng, plain=False):
    """The same question as people type it; `plain` leaves politeness and typos out."""
    if not plain and text.count(" ") >= 2:
        x = rng.random()
        if x < 0.12:
            text = expand(BEFORE, rng) + " " + text
        elif x < 0.22:
            text = text + " " + expand(AFTER, rng)
        elif x < 0.32:
            # "where are my keys" -> "can you tell me where my keys are"; "what is x" -> "... what x is"
            moved = re.match(r"(what|where|who) (is|are) (.{3,40})$", text)
            if moved and rng.random() < 0.7:
                text = f"{moved[1]} {moved[3]} {moved[2]}"
            text = expand(INDIRECT, rng) + " " + text
        text = text.replace(" , ", ", ").replace(" ?", "?").replace("  ", " ")
        if rng.random() < 0.06:
            text = re.sub(r"^(what|which)\b", lambda m: "which" if m[0] == "what" else "what", text)
        if rng.random() < 0.06:
            words = text.split(" ")
            words.insert(rng.randint(2, len(words)), rng.choice(FILLERS))
            text = " ".join(words)
        if rng.random() < 0.06:
            words = text.split(" ")
            drop = [i for i, w in enumerate(words) if w.lower() in STOP_WORDS]
            if drop:
                del words[rng.choice(drop)]
                text = " ".join(words)
        if rng.random() < 0.14:
            text = typo(text, rng)
    x = rng.random()
    if x < 0.5:
        text = text[:1].upper() + text[1:]
    elif x < 0.8:
        text = text.lower()
    elif x < 0.84:
        text = text.upper()
    elif x < 0.87:
        text = text.title()
    x = rng.random()
    if not text or text[-1] in "?!.;:":
        return text
    return text + ("?" if x < 0.55 else "" if x < 0.8 else rng.choice(("??", "!", ".", " ?", "...", "?!", "? ", "\n", ".", "!", "!!", " :)")))


def question(topic, rng):
    """One way to ask for `topic`, none of eval.json's."""
    while True:
        if topic == OFF_TOPIC:
            text = off_topic_question(rng)
            text = text if rng.random() < 0.1 else decorate(text, rng)
        else:
            text = decorate(expand(rng.choice(TOPICS[topic][1]), rng), rng, plain=topic in SMALL_TALK)
        if text.strip() and normal(text) not in HELD_OUT:
            return text


def pick(rng):
    return OFF_TOPIC if rng.random() < OFF_TOPIC_SHARE else rng.choices(NAMES, WEIGHTS)[0]


def conversation(rng):
    """(system prompt or None, [(question, answer)], cut): one to fourteen questions, some of them asked before."""
    x = rng.random()
    turns = 1 if x < 0.82 else rng.randint(2, 3) if x < 0.93 else rng.randint(4, 14)
    system = None
    if rng.random() < 0.25:
        system = expand(SYSTEM, rng) if rng.random() < 0.8 else noise(rng) + " " + noise(rng)
    pairs, asked = [], []
    for _ in range(turns):
        topic = rng.choice(asked) if asked and rng.random() < 0.15 else pick(rng)
        asked.append(topic)
        pairs.append((question(topic, rng), answer(topic)))
    return system, pairs, rng.random() < CUT_SHARE


class Encoder:
    """Text to ids with the chat frame around it, as the template and llama.cpp make them."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.newline = tokenizer.encode("\n")
        self.cache = {}
        self.question_weight = QUESTION_WEIGHT

    def fixed(self, text):
        if text not in self.cache:
            self.cache[text] = self.tokenizer.encode(text)
        return self.cache[text]

    def message(self, role, text):
        return [IM_START, *self.fixed(role), *self.newline, *self.tokenizer.encode(text), IM_END, *self.newline]

    def prompt(self, messages):
        """Ids of a chat up to where the assistant speaks."""
        ids = [i for role, text in messages for i in self.message(role, text)]
        return ids + [IM_START, *self.fixed("assistant"), *self.newline]

    def example(self, talk):
        """(ids, weights): weights[i] is what predicting ids[i] counts."""
        system, pairs, cut = talk
        ids = self.message("system", system) if system is not None else []
        weights = [0.0] * len(ids)
        for n, (asked, answered) in enumerate(pairs):
            before = [IM_START, *self.fixed("user"), *self.newline]
            words = self.tokenizer.encode(asked)
            after = [IM_END, *self.newline, IM_START, *self.fixed("assistant"), *self.newline]
            reply = [*self.fixed(answered), IM_END]
            if cut and n == len(pairs) - 1:
                reply = reply[:FIRST_TOKENS]
            first = min(FIRST_TOKENS, len(reply))
            if len(ids) + len(before) + len(words) + len(after) + len(reply) > MOST_TOKENS:
                break
            ids += before + words + after + reply + self.newline
            weights += [0.0] * len(before) + [self.question_weight] * len(words) + [0.0] * len(after)
            weights += [FIRST_WEIGHT] * first + [1.0] * (len(reply) - first) + [0.0] * len(self.newline)
        return ids, weights


def vocabulary_text(rng, count):
    """Text to learn the vocabulary from: every answer, and `count` questions of each kind."""
    texts = [answer(t) for t in [*NAMES, OFF_TOPIC]] * (count // 20)
    texts += [question(t, rng) for t in NAMES for _ in range(count)]
    texts += [question(OFF_TOPIC, rng) for _ in range(count * 12)]
    return texts + [expand(SYSTEM, rng) for _ in range(count)] + ["user", "assistant", "system"] * count * 4
