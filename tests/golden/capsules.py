"""Writes capsules.json: a capsule network by the formulas of Sabour, Frosst and Hinton, "Dynamic routing between capsules", 2017.

    python tests/golden/capsules.py

Weights follow from their names (`from_names.py`). Lengths, losses and gradients are computed in float64; `f32` is the largest
difference of PyTorch's own float32 results from these, as the test counts it.
"""

import json
import pathlib

import torch
from torch import nn

from from_names import digest, fill, names, numbers

F = nn.functional


def squash(s):
    square = (s * s).sum(-1, keepdim=True)
    return square / (1 + square) * s / square.sqrt()


class Routed(nn.Module):
    def __init__(self, inputs, in_dim, outputs, out_dim, iterations):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(inputs, outputs, out_dim, in_dim))
        self.iterations = iterations

    def forward(self, u):
        predictions = torch.einsum("ijdk,nik->nijd", self.weight, u)
        b = torch.zeros(predictions.shape[:3], dtype=u.dtype)
        for iteration in range(self.iterations):
            c = b.softmax(2)
            v = squash(torch.einsum("nij,nijd->njd", c, predictions))
            b = b + torch.einsum("nijd,njd->nij", predictions, v)
        return v


class CapsNet(nn.Module):
    def __init__(
        self, side=28, channels=1, classes=10, conv=256, kernel=9, primary=32, primary_dim=8, class_dim=16, iterations=3,
        hidden=(512, 1024),
    ):
        super().__init__()
        left = (side - 2 * (kernel - 1) - 1) // 2 + 1
        self.primary, self.primary_dim = primary, primary_dim
        self.conv1 = nn.Conv2d(channels, conv, kernel)
        self.primary_capsules = nn.Conv2d(conv, primary * primary_dim, kernel, 2)
        self.digit_capsules = Routed(primary * left * left, primary_dim, classes, class_dim, iterations)
        self.decoder = nn.Sequential(
            nn.Linear(classes * class_dim, hidden[0]), nn.ReLU(), nn.Linear(hidden[0], hidden[1]), nn.ReLU(),
            nn.Linear(hidden[1], channels * side * side), nn.Sigmoid(),
        )

    def forward(self, images):
        u = self.primary_capsules(F.relu(self.conv1(images)))
        n, _, height, width = u.shape
        u = u.view(n, self.primary, self.primary_dim, height, width).permute(0, 1, 3, 4, 2).reshape(n, -1, self.primary_dim)
        return self.digit_capsules(squash(u))

    def losses(self, images, labels):
        v = self(images)
        lengths = (v * v).sum(-1).sqrt()
        present = F.one_hot(labels, v.shape[1]).to(v.dtype)
        margins = present * (0.9 - lengths).clamp(min=0) ** 2 + 0.5 * (1 - present) * (lengths - 0.1).clamp(min=0) ** 2
        drawn = self.decoder((v * present[:, :, None]).flatten(1)).view_as(images)
        return lengths, margins.sum(1).mean(), 0.0005 * ((drawn - images) ** 2).sum((1, 2, 3)).mean()


SMALL = dict(side=13, channels=2, classes=4, conv=6, kernel=3, primary=3, primary_dim=4, class_dim=5, hidden=(7, 9))


def run(model, images, labels):
    images = images.clone().requires_grad_()
    lengths, margin, reconstruction = model.losses(images, labels)
    model.zero_grad()
    (margin + reconstruction).backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()} | {"input": images.grad}
    return lengths.detach(), margin.item(), reconstruction.item(), gradients


def main():
    model = CapsNet(**SMALL).double()
    fill(model)
    # Long vectors, between which routing chooses.
    model.digit_capsules.weight.data *= 12
    images = torch.from_numpy(0.5 + 0.5 * numbers("images", 5 * 2 * 13 * 13)).float().double().view(5, 2, 13, 13)
    labels = torch.tensor([3, 0, 2, 2, 1])
    lengths, margin, reconstruction, gradients = run(model, images, labels)
    digests = {name: digest(name, gradient) for name, gradient in gradients.items()}
    model.digit_capsules.iterations = 1
    once = run(model, images, labels)[0]
    model.digit_capsules.iterations = 3
    lengths32, *losses32, gradients32 = run(model.float(), images.float(), labels)
    worst = max(abs(digest(name, gradients32[name])[1] - product) / norm for name, (norm, product) in digests.items())
    result = {
        "names": names(CapsNet()),
        "lengths": lengths.flatten().tolist(),
        "lengths_of_one_iteration": once.flatten().tolist(),
        "margin": margin,
        "reconstruction": reconstruction,
        "gradients": [digests[name] for name in sorted(digests)],
        "f32": [float((lengths32 - lengths).abs().max() / lengths.max()), worst],
    }
    pathlib.Path(__file__).with_name("capsules.json").write_text(json.dumps(result) + "\n")
    print(result["f32"])


main()
