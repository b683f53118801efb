"""Writes robust_bounds.json: interval bounds of a small network, layer by layer in PyTorch, and answers to samples within them.

    python tests/golden/robust_bounds.py

The formulas are those of Gowal et al. (2018), in float64; weights and images follow from their names. The samples are points of the
box, half of them corners, and those where gradient steps end; the extremes of each logit are kept, which no sound bound passes.
"""

import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from torch import nn

from from_names import digest, fill, numbers
from robust import images

EPS, KAPPA = 0.03, 0.6
CLASSES = torch.tensor([1, 3, 0])


class BoundNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.conv2, self.fc = nn.Conv2d(4, 4, 3, padding=1, groups=2), nn.Linear(36, 4)

    def forward(self, x):
        y = F.leaky_relu(self.bn1(self.conv1((x - 0.5) / 0.25)), 0.1)
        z = F.elu(y + F.hardtanh(self.conv2(y), -0.5, 0.7))
        p = F.max_pool2d(z, 2)
        q = torch.cat([p[:, :2] * torch.sigmoid(p[:, :2]), p[:, 2:].abs() - p[:, :2] ** 2], 1)
        return self.fc(q.flatten(1))


class AttendedNet(nn.Module):
    """Attention over the pixels, between activations that fall before they grow."""

    def __init__(self):
        super().__init__()
        self.conv, self.query, self.key = nn.Conv2d(2, 4, 3, padding=1), nn.Linear(4, 6), nn.Linear(4, 6)
        self.value, self.fc = nn.Linear(4, 5), nn.Linear(5, 4)

    def forward(self, x):
        y = F.silu(self.conv((x - 0.5) / 0.25)).flatten(2).transpose(1, 2)
        q, k, v = F.gelu(self.query(y)), F.mish(self.key(y)), self.value(y)
        return F.log_softmax(self.fc(F.scaled_dot_product_attention(q, k, v).mean(1)), 1)


def linear(l, u, of, weight):
    """`of(x, W)` by centre and radius."""
    c, r = (u + l) / 2, (u - l) / 2
    return of(c, weight) - of(r, weight.abs()), of(c, weight) + of(r, weight.abs())


def square(l, u):
    least = torch.maximum(torch.maximum(l, -u), torch.zeros_like(l)) ** 2
    return least, torch.maximum(l**2, u**2)


def product(l, u, m, v):
    ends = torch.stack([l * m, l * v, u * m, u * v])
    return ends.amin(0), ends.amax(0)


def valley(of, l, u):
    """Bounds by the minimum, which is searched for."""
    minimum = minimize_scalar(lambda x: of(torch.tensor(x, dtype=torch.float64)).item(), (-3, -1, 0), tol=1e-12).x
    within = torch.maximum(l, torch.minimum(u, torch.full_like(l, minimum)))
    return of(within), torch.maximum(of(l), of(u))


def softmax(of, l, u):
    """Bounds along the last dimension by the 2 K corners that are extreme."""
    own = torch.eye(l.shape[-1], dtype=torch.bool)
    ends = [torch.where(own, a[..., None, :], b[..., None, :]) for a, b in ((l, u), (u, l))]
    return [of(end, -1).diagonal(dim1=-2, dim2=-1) for end in ends]


def matmul(l, u, m, v):
    (c, r), (d, s) = ((u + l) / 2, (u - l) / 2), ((v + m) / 2, (v - m) / 2)
    radius = c.abs() @ s + r @ d.abs() + r @ s
    return c @ d - radius, c @ d + radius


def attended(net, x, eps):
    by = lambda layer, l, u: [a + layer.bias for a in linear(l, u, lambda x, w: x @ w.t(), layer.weight)]
    l, u = [((x + by).clamp(0, 1) - 0.5) / 0.25 for by in (-eps, eps)]
    bias = net.conv.bias.view(1, -1, 1, 1)
    l, u = [a + bias for a in linear(l, u, lambda x, w: F.conv2d(x, w, padding=1), net.conv.weight)]
    y = [a.flatten(2).transpose(1, 2) for a in valley(F.silu, l, u)]
    q, k = valley(F.gelu, *by(net.query, *y)), valley(F.mish, *by(net.key, *y))
    scores = matmul(*q, *[a.transpose(1, 2) for a in k])
    shares = softmax(F.softmax, *[a / 6**0.5 for a in scores])
    return softmax(F.log_softmax, *by(net.fc, *[a.mean(1) for a in matmul(*shares, *by(net.value, *y))]))


def features(net, x, eps):
    l, u = [((x + by).clamp(0, 1) - 0.5) / 0.25 for by in (-eps, eps)]
    bias = net.conv1.bias.view(1, -1, 1, 1)
    l, u = linear(l, u, lambda x, w: F.conv2d(x, w, padding=1), net.conv1.weight)
    bn = net.bn1
    scale = (bn.weight / (bn.running_var + bn.eps).sqrt()).view(1, -1, 1, 1)
    shift = bn.bias.view(1, -1, 1, 1) - bn.running_mean.view(1, -1, 1, 1) * scale
    l, u = linear(l + bias, u + bias, lambda x, w: x * w, scale)
    l, u = F.leaky_relu(l + shift, 0.1), F.leaky_relu(u + shift, 0.1)
    bias = net.conv2.bias.view(1, -1, 1, 1)
    m, v = linear(l, u, lambda x, w: F.conv2d(x, w, padding=1, groups=2), net.conv2.weight)
    l, u = [F.elu(a + F.hardtanh(b + bias, -0.5, 0.7)) for a, b in ((l, m), (u, v))]
    l, u = F.max_pool2d(l, 2), F.max_pool2d(u, 2)
    first = product(l[:, :2], u[:, :2], torch.sigmoid(l[:, :2]), torch.sigmoid(u[:, :2]))
    m, v = l[:, 2:], u[:, 2:]
    absolute = torch.maximum(torch.maximum(m, -v), torch.zeros_like(m)), torch.maximum(v, -m)
    squared = square(l[:, :2], u[:, :2])
    second = absolute[0] - squared[1], absolute[1] - squared[0]
    return [torch.cat([a, b], 1).flatten(1) for a, b in zip(first, second)]


def extremes(net, x, sign):
    """Images that raise or lower each logit, by ten steps of the gradient's sign: [4, N, C, H, W]."""
    found = []
    for logit in range(4):
        near = x.clone()
        for _ in range(10):
            near.requires_grad_()
            (gradient,) = torch.autograd.grad(net(near)[:, logit].sum(), near)
            near = (x + (near + sign * EPS / 4 * gradient.sign() - x).clamp(-EPS, EPS)).clamp(0, 1).detach()
        found.append(near)
    return torch.stack(found)


def main():
    net = BoundNet().double().eval()
    fill(net)
    x = images()
    l, u = features(net, x, EPS)
    weight, bias = net.fc.weight, net.fc.bias
    lower, upper = linear(l, u, lambda x, w: x @ w.t(), weight)
    apart = weight[CLASSES][:, None, :] - weight[None]
    c, r = (u + l) / 2, (u - l) / 2
    margins = torch.einsum("ni,nji->nj", c, apart) - torch.einsum("ni,nji->nj", r, apart.abs())
    margins = margins + bias[CLASSES][:, None] - bias[None]
    loss = KAPPA * F.cross_entropy(net(x), CLASSES) + (1 - KAPPA) * F.cross_entropy(-margins, CLASSES)
    loss.backward()
    ascended = torch.cat([extremes(net, x, 1.0), extremes(net, x, -1.0)])
    with torch.no_grad():
        unit = torch.from_numpy(numbers("samples", 600 * x.numel()).reshape(600, *x.shape))
        unit[::2] = unit[::2].sign()
        samples = torch.cat([(x + EPS * unit).clamp(0, 1), ascended])
        logits = torch.stack([net(some) for some in samples])
    smallest = lambda values: [float(f"{value:.13g}") for value in values.detach().flatten().tolist()]
    golden = {
        "lower": smallest(lower + bias),
        "upper": smallest(upper + bias),
        "margins": smallest(margins),
        "loss": loss.item(),
        "least": smallest(logits.amin(0)),
        "most": smallest(logits.amax(0)),
        "gradients": {name: digest(name, value.grad) for name, value in net.named_parameters()},
    }
    other = AttendedNet().double().eval()
    fill(other)
    with torch.no_grad():
        ends = attended(other, x, EPS / 10)
        logits_of_other = torch.stack([other(x + (some - x) / 10) for some in samples])
        golden["attended"] = {
            "lower": smallest(ends[0]),
            "upper": smallest(ends[1]),
            "least": smallest(logits_of_other.amin(0)),
            "most": smallest(logits_of_other.amax(0)),
        }
    print("attended", (ends[1] - ends[0]).max().item(), "wide")
    spread = (logits.amax(0) - logits.amin(0)) / (upper - lower)
    print("samples fill", spread.min().item(), "to", spread.max().item(), "of the bounds")
    path = pathlib.Path(__file__).with_name("robust_bounds.json")
    path.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in golden.items()) + "\n}\n")


if __name__ == "__main__":
    main()
