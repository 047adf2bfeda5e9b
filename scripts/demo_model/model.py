"""The network: llama.cpp's "llama" architecture, small (RMSNorm, interleaved RoPE, grouped-query attention, SwiGLU).

Rotary pairs are neighbours (0,1), (2,3) …, which is what llama.cpp's llama architecture expects of the
tensors *in the file*: no permutation on export.

Every product of matrices is written as a convolution. Debian's PyTorch falls back on the reference BLAS
(about 4 GFLOP/s on two cores), while its convolutions go to oneDNN (over 100): a 1×1 convolution is a
matrix product, a grouped one a batch of them.
"""

import dataclasses

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclasses.dataclass(frozen=True)
class Config:
    vocab: int = 2048
    width: int = 192
    layers: int = 4
    heads: int = 3
    kv_heads: int = 3
    hidden: int = 448
    context: int = 1024
    rope_base: float = 10000.0
    epsilon: float = 1e-5


def matmul(x, weight):
    """x [..., in] times weight [out, in] transposed, by oneDNN; one wide row is its fastest image."""
    rows, width = x.numel() // x.shape[-1], x.shape[-1]
    image = x.reshape(1, 1, rows, width).permute(0, 3, 1, 2)
    out = F.conv2d(image, weight.view(*weight.shape, 1, 1).contiguous(memory_format=torch.channels_last))
    return out.permute(0, 2, 3, 1).reshape(*x.shape[:-1], weight.shape[0])


def attend(q, k, v, bias):
    """Attention for q, k, v [groups, time, size] as two grouped convolutions; `bias` [key, query] masks."""
    g, t, d = q.shape
    scores = F.conv2d(q.transpose(1, 2).reshape(1, g * d, t, 1), k.reshape(g * t, d, 1, 1), groups=g)
    weights = torch.softmax(scores.view(g, t, t) * d**-0.5 + bias, dim=1)
    mixed = F.conv2d(weights.view(1, g * t, t, 1), v.transpose(1, 2).reshape(g * d, t, 1, 1), groups=g)
    return mixed.view(g, d, t).transpose(1, 2)


class Norm(nn.Module):
    def __init__(self, width, epsilon):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.epsilon) * self.weight


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        size = c.width // c.heads

        def matrix(rows, columns, gain=1.0):
            return nn.Parameter(torch.randn(rows, columns) * gain * columns**-0.5)

        self.attn_norm, self.ffn_norm = Norm(c.width, c.epsilon), Norm(c.width, c.epsilon)
        self.attn_q, self.attn_k = matrix(c.width, c.width), matrix(c.kv_heads * size, c.width)
        self.attn_v, self.attn_output = matrix(c.kv_heads * size, c.width), matrix(c.width, c.width, 0)
        self.ffn_gate, self.ffn_up = matrix(c.hidden, c.width), matrix(c.hidden, c.width)
        self.ffn_down = matrix(c.width, c.hidden, 0)

    def forward(self, x, rope, bias):
        c = self.c
        b, t, _ = x.shape
        size, repeat = c.width // c.heads, c.heads // c.kv_heads
        h = self.attn_norm(x)
        q = rotate(matmul(h, self.attn_q).view(b, t, c.heads, size).transpose(1, 2), rope)
        k = rotate(matmul(h, self.attn_k).view(b, t, c.kv_heads, size).transpose(1, 2), rope)
        v = matmul(h, self.attn_v).view(b, t, c.kv_heads, size).transpose(1, 2)
        # query head h reads key/value head h // repeat, as in llama.cpp
        k, v = (s.unsqueeze(2).expand(b, c.kv_heads, repeat, t, size) for s in (k, v))
        flat = (b * c.heads, t, size)
        mixed = attend(q.reshape(flat), k.reshape(flat), v.reshape(flat), bias).reshape(b, c.heads, t, size)
        x = x + matmul(mixed.transpose(1, 2).reshape(b, t, c.width), self.attn_output)
        h = self.ffn_norm(x)
        return x + matmul(F.silu(matmul(h, self.ffn_gate)) * matmul(h, self.ffn_up), self.ffn_down)


def rotate(x, rope):
    cos, sin = rope
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


class Model(nn.Module):
    """Blocks and output start at zero, so that at first each position holds its token and nothing else. (With a
    small embedding, tied to the output, the random blocks drowned it: 57 of 85 development questions after 300
    steps instead of 68.)"""

    def __init__(self, config):
        super().__init__()
        self.config = c = config
        self.token_embd = nn.Parameter(torch.randn(c.vocab, c.width))
        self.output = nn.Parameter(torch.zeros(c.vocab, c.width))
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.layers))
        self.output_norm = Norm(c.width, c.epsilon)

    def forward(self, ids, chosen=None):
        """Logits for ids [batch, time], or only at the flat positions `chosen` (targets are few in a chat)."""
        return self.run(F.embedding(ids, self.token_embd), chosen)

    def run(self, x, chosen=None):
        """As `forward`, for embeddings [batch, time, width]: of tokens, or of whatever else stands among them."""
        c, t = self.config, x.shape[1]
        size = c.width // c.heads
        angles = torch.arange(t)[:, None] * c.rope_base ** (-torch.arange(0, size, 2) / size)[None, :]
        rope = (angles.cos(), angles.sin())
        bias = torch.full((t, t), float("-inf")).tril(-1)  # [key, query]: a key after its query is hidden
        for block in self.blocks:
            x = block(x, rope, bias)
        if chosen is not None:
            x = x.reshape(-1, c.width)[chosen]
        return matmul(self.output_norm(x), self.output)

    @torch.no_grad()
    def load(self, arrays):
        """Takes weights as `tensors` gives them; raises KeyError or RuntimeError if they are another model's."""
        for name, own in self._named().items():
            own.copy_(torch.from_numpy(arrays[name]))

    def tensors(self):
        """{GGUF tensor name: float32 array}, in file order."""
        return {name: p.detach().numpy() for name, p in self._named().items()}

    def _named(self):
        out = {"token_embd.weight": self.token_embd, "output_norm.weight": self.output_norm.weight, "output.weight": self.output}
        for i, block in enumerate(self.blocks):
            for name, parameter in block.named_parameters():
                out[f"blk.{i}.{name.replace('.weight', '')}.weight"] = parameter
        return out
