"""Writes siamese.json: a Siamese network and losses of embeddings, by PyTorch programs that go through all pairs and triplets.

    python tests/golden/siamese.py

Weights follow from their names (`from_names.py`). Everything is computed in float64; `f32` is the largest difference of PyTorch's own
float32 results from these, as the test counts it.
"""

import json
import pathlib

import torch
from torch import nn

from from_names import digest, fill, numbers

F = nn.functional


class Siamese(nn.Module):
    def __init__(self, side, channels, widths, hidden, dim, normalize):
        super().__init__()
        sizes = [channels, *widths]
        blocks = [(nn.Conv2d(a, b, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2)) for a, b in zip(sizes, sizes[1:])]
        left = side >> len(widths)
        self.features = nn.Sequential(*sum(blocks, ()))
        self.embed = nn.Sequential(
            nn.Flatten(), nn.Linear(widths[-1] * left * left, hidden), nn.ReLU(), nn.Linear(hidden, dim)
        )
        self.normalize = normalize

    def forward(self, images):
        x = self.embed(self.features(images))
        return F.normalize(x) if self.normalize else x


def contrastive(a, b, alike, margin):
    losses = [
        0.5 * d**2 if same else 0.5 * F.relu(margin - d) ** 2 for d, same in zip(F.pairwise_distance(a, b), alike)
    ]
    return torch.stack(losses).mean()


def distances(x, squared):
    square = ((x[:, None] - x[None]) ** 2).sum(-1)
    return square if squared else [[square[i, j].sqrt() if i != j else None for j in range(len(x))] for i in range(len(x))]


def batch_hard(x, labels, margin, squared):
    d, losses = distances(x, squared), []
    for a, label in enumerate(labels):
        positive = [d[a][p] for p, other in enumerate(labels) if other == label and p != a]
        negative = [d[a][n] for n, other in enumerate(labels) if other != label]
        if positive and negative:
            losses.append(F.relu(max(positive) - min(negative) + margin))
    return torch.stack(losses).mean()


def semi_hard(x, labels, margin, squared):
    d, losses = distances(x, squared), []
    for a, label in enumerate(labels):
        negative = [d[a][n] for n, other in enumerate(labels) if other != label]
        for p, other in enumerate(labels):
            if other == label and p != a and negative:
                farther = [distance for distance in negative if distance > d[a][p]]
                losses.append(F.relu(d[a][p] - (min(farther) if farther else max(negative)) + margin))
    return torch.stack(losses).mean()


LABELS = [0, 2, 1, 0, 0, 1, 2, 0, 3]
LOSSES = {
    "contrastive": lambda x: contrastive(x[:4], x[4:8], [True, False, False, True], 2.0),
    "batch_hard": lambda x: batch_hard(x, LABELS, 0.5, False),
    "batch_hard_squared": lambda x: batch_hard(x, LABELS, 0.5, True),
    "semi_hard": lambda x: semi_hard(x, LABELS, 0.5, False),
    "semi_hard_squared": lambda x: semi_hard(x, LABELS, 0.5, True),
}


def run(normalize, dtype):
    net = Siamese(9, 2, (3, 4), 6, 5, normalize)
    fill(net)
    net.to(dtype)
    images = torch.from_numpy(3 * numbers("images", 9 * 2 * 9 * 9)).float().to(dtype).view(9, 2, 9, 9)
    embeddings = net(images)
    result = {"embeddings": embeddings.flatten().tolist()}
    for name, loss in LOSSES.items():
        net.zero_grad()
        value = loss(embeddings)
        value.backward(retain_graph=True)
        gradients = [digest(key, parameter.grad) for key, parameter in sorted(net.named_parameters())]
        result[name] = {"loss": value.item(), "gradients": gradients}
    return result


def apart(exact, single):
    """The largest difference of two runs, in the size of each result, or of gradients in a thousandth of the largest one."""
    worst = max(abs(a - b) for a, b in zip(exact["embeddings"], single["embeddings"])) / max(map(abs, exact["embeddings"]))
    for name in LOSSES:
        worst = max(worst, abs(exact[name]["loss"] - single[name]["loss"]) / exact[name]["loss"])
        largest = max(norm for norm, _ in exact[name]["gradients"])
        for (norm, product), (_, other) in zip(exact[name]["gradients"], single[name]["gradients"]):
            worst = max(worst, abs(product - other) / max(norm, 1e-3 * largest))
    return worst


def main():
    result = {}
    for name, normalize in (("plain", False), ("normalized", True)):
        exact, single = (run(normalize, dtype) for dtype in (torch.float64, torch.float32))
        result[name] = exact | {"f32": apart(exact, single)}
        print(name, result[name]["f32"], {loss: exact[loss]["loss"] for loss in LOSSES})
    pathlib.Path(__file__).with_name("siamese.json").write_text(json.dumps(result, separators=(",", ":")) + "\n")


main()
