"""The encoder and the projector, as llama.cpp's `clip_graph_llava` computes them (tools/mtmd/models/llava.cpp).

A convolution cuts the picture into patches; layers with LayerNorm and GELU (its tanh form) follow, then two
linear layers into the width of the text model. The metadata names the last layer as the one that is taken,
where LLaVA's own default is the last but one.
"""

import dataclasses
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

import model
from gguf import ARRAY, BOOL, F32, I32, STRING, U32


@dataclasses.dataclass(frozen=True)
class EyeConfig:
    picture: int = 48
    patch: int = 8
    width: int = 96
    layers: int = 4
    heads: int = 6
    hidden: int = 256
    epsilon: float = 1e-5

    @property
    def patches(self):
        return (self.picture // self.patch) ** 2


class Linear(nn.Module):
    def __init__(self, columns, rows, gain=1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(rows, columns) * gain * columns**-0.5)
        self.bias = nn.Parameter(torch.zeros(rows))

    def forward(self, x):
        return model.matmul(x, self.weight) + self.bias


class Norm(nn.Module):
    def __init__(self, width, epsilon):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.epsilon = epsilon

    def forward(self, x):
        return F.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.epsilon)


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.ln1, self.ln2 = Norm(c.width, c.epsilon), Norm(c.width, c.epsilon)
        self.attn_q, self.attn_k, self.attn_v = (Linear(c.width, c.width) for _ in range(3))
        self.attn_out = Linear(c.width, c.width, 0)
        self.ffn_up, self.ffn_down = Linear(c.width, c.hidden), Linear(c.hidden, c.width, 0)

    def forward(self, x):
        c = self.c
        b, t, _ = x.shape
        h = self.ln1(x)
        q, k, v = (
            m(h).view(b, t, c.heads, -1).transpose(1, 2).reshape(b * c.heads, t, -1)
            for m in (self.attn_q, self.attn_k, self.attn_v)
        )
        mixed = model.attend(q, k, v, 0.0).reshape(b, c.heads, t, -1).transpose(1, 2).reshape(b, t, c.width)
        x = x + self.attn_out(mixed)
        return x + self.ffn_down(F.gelu(self.ffn_up(self.ln2(x)), approximate="tanh"))


def waves(c):
    """Places as waves along rows and columns, [patches, width]: "the patch to my left" is one linear map for all patches."""
    side = c.picture // c.patch
    angles = torch.arange(side)[:, None] * torch.arange(side)[None, :] * math.pi / side
    along = torch.cat((angles.cos(), angles.sin()), 1)
    rows, columns = along.repeat_interleave(side, 0), along.repeat(side, 1)
    out = torch.zeros(c.patches, c.width)
    out[:, : 4 * side] = torch.cat((rows, columns), 1) * 0.7
    return out


class Eye(nn.Module):
    """`forward` gives embeddings for the text model, [batch, patches, width]. `always`: what each of them starts with."""

    def __init__(self, config, out, always):
        super().__init__()
        self.config = c = config
        self.out = out
        self.patch_embd = nn.Parameter(torch.randn(c.width, 3, c.patch, c.patch) * (3 * c.patch**2) ** -0.5)
        self.position_embd = nn.Parameter(waves(c))
        self.blocks = nn.ModuleList(Layer(c) for _ in range(c.layers))
        self.post_ln = Norm(c.width, c.epsilon)
        self.mm0, self.mm2 = Linear(c.width, c.hidden), Linear(c.hidden, out, 0)
        self.mm2.bias.data.copy_(torch.from_numpy(always))

    def forward(self, pixels):
        """`pixels` [batch, 3, side, side] from 0 to 255."""
        x = F.conv2d(pixels / 127.5 - 1, self.patch_embd, stride=self.config.patch)
        x = x.flatten(2).transpose(1, 2) + self.position_embd
        for block in self.blocks:
            x = block(x)
        return self.mm2(F.gelu(self.mm0(self.post_ln(x)), approximate="tanh"))

    def tensors(self):
        """{GGUF tensor name: float32 array}, in file order."""
        return {name: p.detach().numpy() for name, p in self._named().items()}

    @torch.no_grad()
    def load(self, arrays):
        """Takes weights as `tensors` gives them."""
        for name, own in self._named().items():
            own.copy_(torch.from_numpy(arrays[name]))

    def _named(self):
        names = {"patch_embd": "v.patch_embd.weight", "position_embd": "v.position_embd.weight"}
        out = {}
        for name, parameter in self.named_parameters():
            for ours, theirs in (("blocks.", "v.blk."), ("post_ln.", "v.post_ln."), ("mm0.", "mm.0."), ("mm2.", "mm.2.")):
                if name.startswith(ours):
                    names[name] = theirs + name[len(ours) :]
            out[names[name]] = parameter
        return out

    def metadata(self, name):
        c = self.config
        half = (ARRAY, (F32, [0.5] * 3))
        return [
            ("general.architecture", STRING, "clip"),
            ("general.type", STRING, "mmproj"),
            ("general.name", STRING, name),
            ("general.license", STRING, "MIT"),
            ("general.file_type", U32, 7),  # MOSTLY_Q8_0
            ("clip.has_vision_encoder", BOOL, True),
            ("clip.projector_type", STRING, "mlp"),
            ("clip.use_gelu", BOOL, True),
            ("clip.vision.image_size", U32, c.picture),
            ("clip.vision.patch_size", U32, c.patch),
            ("clip.vision.embedding_length", U32, c.width),
            ("clip.vision.feed_forward_length", U32, c.hidden),
            ("clip.vision.projection_dim", U32, self.out),
            ("clip.vision.block_count", U32, c.layers),
            ("clip.vision.feature_layer", ARRAY, (I32, [c.layers])),
            ("clip.vision.attention.head_count", U32, c.heads),
            ("clip.vision.attention.layer_norm_epsilon", F32, c.epsilon),
            ("clip.vision.image_mean", *half),
            ("clip.vision.image_std", *half),
        ]
