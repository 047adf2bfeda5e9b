"""Writes a llama-architecture model as GGUF v3, matrices in Q8_0 and norms in F32, and nothing else.

    file   = "GGUF" | version u32 | tensors u64 | pairs u64 | pair* | tensor-info* | pad | data
    pair   = key string | type u32 | value          string = length u64 | UTF-8
    info   = name string | dims u32 | dim u64 (innermost first) | type u32 | offset u64
    Q8_0   = blocks of 32 weights: scale f16 | 32 × i8
"""

import os
import struct

import numpy as np

from tokenizer import EOS, FIRST_PIECE, IM_END, BOS, UNK

ALIGNMENT = 32
U32, F32, BOOL, STRING, ARRAY, I32 = 4, 6, 7, 8, 9, 5
TENSOR_F32, TENSOR_Q8_0 = 0, 8

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def quantise(weights):
    """Q8_0 blocks of a float32 matrix, rounded as ggml's reference: returns (scales f16, values i8)."""
    blocks = np.ascontiguousarray(weights, dtype=np.float32).reshape(-1, 32)
    scale = np.abs(blocks).max(axis=1) / np.float32(127)
    inverse = np.where(scale > 0, 1 / np.where(scale > 0, scale, 1), 0).astype(np.float32)
    scaled = blocks * inverse[:, None]
    values = np.trunc(scaled + np.copysign(np.float32(0.5), scaled)).astype(np.int8)  # roundf: half away from zero
    return scale.astype(np.float16), values


def is_quantised(name, weights):
    """Whether `write` makes Q8_0 of it."""
    return weights.ndim == 2 and "position" not in name


def dequantise(weights):
    """What the engine will read back for `weights` after Q8_0."""
    scale, values = quantise(weights)
    return (values.astype(np.float32) * scale.astype(np.float32)[:, None]).reshape(weights.shape)


def _string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _pair(key, kind, value):
    out = _string(key)
    if kind == STRING:
        return out + struct.pack("<I", STRING) + _string(value)
    if kind == BOOL:
        return out + struct.pack("<IB", BOOL, value)
    if kind == U32:
        return out + struct.pack("<II", U32, value)
    if kind == F32:
        return out + struct.pack("<If", F32, value)
    element, items = value
    out += struct.pack("<IIQ", ARRAY, element, len(items))
    if element == STRING:
        return out + b"".join(map(_string, items))
    return out + np.asarray(items, dtype={F32: "<f4", I32: "<i4"}[element]).tobytes()


DEMO = ("SecLlama demo", "Answers about two dozen questions on SecLlama, and says it does not know otherwise.")


def metadata(config, tokenizer, about=DEMO):
    """The pairs of a model file. `about`: its name, and what it does."""
    c = config
    name, description = about
    return [
        ("general.architecture", STRING, "llama"),
        ("general.name", STRING, name),
        ("general.type", STRING, "model"),
        ("general.description", STRING, description),
        ("general.license", STRING, "MIT"),
        ("general.file_type", U32, 7),  # MOSTLY_Q8_0
        ("general.quantization_version", U32, 2),
        ("general.alignment", U32, ALIGNMENT),
        ("llama.vocab_size", U32, len(tokenizer)),
        ("llama.context_length", U32, c.context),
        ("llama.embedding_length", U32, c.width),
        ("llama.block_count", U32, c.layers),
        ("llama.feed_forward_length", U32, c.hidden),
        ("llama.rope.dimension_count", U32, c.width // c.heads),
        ("llama.rope.freq_base", F32, c.rope_base),
        ("llama.attention.head_count", U32, c.heads),
        ("llama.attention.head_count_kv", U32, c.kv_heads),
        ("llama.attention.layer_norm_rms_epsilon", F32, c.epsilon),
        ("tokenizer.ggml.model", STRING, "llama"),
        ("tokenizer.ggml.pre", STRING, "default"),
        ("tokenizer.ggml.tokens", ARRAY, (STRING, tokenizer.tokens)),
        ("tokenizer.ggml.scores", ARRAY, (F32, tokenizer.scores)),
        ("tokenizer.ggml.token_type", ARRAY, (I32, tokenizer.types)),
        ("tokenizer.ggml.bos_token_id", U32, BOS),
        ("tokenizer.ggml.eos_token_id", U32, IM_END),  # a turn ends, and generation with it
        ("tokenizer.ggml.eot_token_id", U32, IM_END),
        ("tokenizer.ggml.unknown_token_id", U32, UNK),
        ("tokenizer.ggml.padding_token_id", U32, EOS),
        ("tokenizer.ggml.add_bos_token", BOOL, False),
        ("tokenizer.ggml.add_eos_token", BOOL, False),
        ("tokenizer.ggml.add_space_prefix", BOOL, False),
        ("tokenizer.chat_template", STRING, CHAT_TEMPLATE),
    ]


def read(path):
    """(pieces, {tensor name: float32 array}) of a file that `write` made; no other GGUF is understood.

    Raises ValueError for a file of another kind.
    """
    data, at = open(path, "rb").read(), 24
    if data[:4] != b"GGUF":
        raise ValueError(f"{path} is no GGUF file")
    _, tensors, pairs = struct.unpack_from("<IQQ", data, 4)

    def take(form):
        nonlocal at
        (value,) = struct.unpack_from("<" + form, data, at)
        at += struct.calcsize("<" + form)
        return value

    def text():
        nonlocal at
        length = take("Q")
        at += length
        return data[at - length : at].decode()

    def value(kind):
        if kind == STRING:
            return text()
        if kind == ARRAY:
            element, count = take("I"), take("Q")
            return [value(element) for _ in range(count)]
        return take({U32: "I", F32: "f", BOOL: "B", I32: "i"}[kind])

    metadata = {text(): value(take("I")) for _ in range(pairs)}
    infos = [(text(), [take("Q") for _ in range(take("I"))][::-1], take("I"), take("Q")) for _ in range(tensors)]
    start, out = at + -at % ALIGNMENT, {}
    for name, shape, kind, offset in infos:
        count = int(np.prod(shape))
        if kind == TENSOR_F32:
            out[name] = np.frombuffer(data, "<f4", count, start + offset).copy()
        else:
            blocks = np.frombuffer(data, np.dtype([("scale", "<f2"), ("values", "i1", 32)]), count // 32, start + offset)
            out[name] = (blocks["values"].astype(np.float32) * blocks["scale"].astype(np.float32)[:, None]).reshape(shape)
    return metadata["tokenizer.ggml.tokens"][FIRST_PIECE:], out


def write(path, pairs, tensors):
    """Writes {name: float32 array} to `path` by a temporary file and a rename, so a reader never sees half.

    Matrices become Q8_0; vectors, kernels and what is looked up by position stay F32.
    """
    infos, blobs, offset = [], [], 0
    for name, weights in tensors.items():
        if not is_quantised(name, weights):
            kind, blob = TENSOR_F32, np.ascontiguousarray(weights, dtype="<f4").tobytes()
        else:
            scale, values = quantise(weights)
            kind, blob = TENSOR_Q8_0, np.concatenate([scale.view(np.int8).reshape(-1, 2), values], axis=1).tobytes()
        dims = struct.pack("<I", weights.ndim) + b"".join(struct.pack("<Q", d) for d in reversed(weights.shape))
        infos.append(_string(name) + dims + struct.pack("<IQ", kind, offset))
        blob += bytes(-len(blob) % ALIGNMENT)
        blobs.append(blob)
        offset += len(blob)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(infos), len(pairs))
    head += b"".join(_pair(*p) for p in pairs) + b"".join(infos)
    head += bytes(-len(head) % ALIGNMENT)
    data = head + b"".join(blobs)
    temporary = f"{path}.tmp"
    with open(temporary, "wb") as file:
        file.write(data)
    os.replace(temporary, path)
    return data
