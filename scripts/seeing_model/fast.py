"""Products of matrices in bfloat16 where the processor has AMX: five to nine times as fast as `model`'s on one core.

Weights and sums stay float32. Without AMX the products are those of `model`, and the training takes longer.
"""

import pathlib

import torch
import torch.nn.functional as F

import model
import optimiser


def has_amx():
    try:
        return "amx_bf16" in pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def matmul(x, weight):
    return F.linear(x.bfloat16(), weight.bfloat16()).float()


def attend(q, k, v, bias):
    """As `model.attend`: q, k, v [groups, time, size]; `bias` [key, query] or 0."""
    q, k, v = (x.bfloat16() for x in (q * q.shape[-1] ** -0.5, k, v))
    if torch.is_tensor(bias):
        scores = torch.baddbmm(bias.t().bfloat16()[None], q, k.transpose(1, 2))
    else:
        scores = torch.bmm(q, k.transpose(1, 2))
    return torch.bmm(torch.softmax(scores, -1), v).float()


def orthogonalise(matrices, steps=5):
    """As the optimiser's, for all of one shape at once."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = torch.stack(matrices).bfloat16()
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.transpose(1, 2).contiguous()
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = torch.bmm(x, x.transpose(1, 2))
        x = a * x + torch.bmm(b * gram + c * torch.bmm(gram, gram), x)
    return (x.transpose(1, 2) if tall else x).float()


class Optimiser(optimiser.Optimiser):
    """The demo model's, with the matrices of one shape done at once."""

    @torch.no_grad()
    def step(self, scale):
        for group in self.adam.param_groups:
            group["lr"] = self.other_rate * scale
        self.adam.step()
        rate, shapes = self.matrix_rate * scale, {}
        for p, buffer in zip(self.matrices, self.buffers):
            buffer.lerp_(p.grad, 1 - self.momentum)
            shapes.setdefault(tuple(p.shape), []).append((p, p.grad.lerp(buffer, self.momentum)))
        for (rows, columns), both in shapes.items():
            for (p, _), update in zip(both, orthogonalise([update for _, update in both])):
                p.mul_(1 - rate * self.decay)
                p.add_(update, alpha=-rate * max(1, rows / columns) ** 0.5)
        for p in [*self.matrices, *self.adam.param_groups[0]["params"]]:
            p.grad = None


EXACT = model.matmul, model.attend, optimiser.Optimiser


def use(quick=True):
    """Makes the networks use these where they are faster, or again those that are exact."""
    use_these = (matmul, attend, Optimiser) if quick and has_amx() else EXACT
    model.matmul, model.attend, optimiser.Optimiser = use_these
