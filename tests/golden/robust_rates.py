"""Writes robust_rates.json: a small network of scikit-learn's digits, and how often attacks by search fool it, by torchattacks 3.5.1.

    python tests/golden/robust_rates.py

Its draws are not ours, so rates are compared: on images that the network answers rightly, the share that is fooled, in the mean of
some seeds.
"""

import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
import torchattacks
from sklearn.datasets import load_digits
from torch import nn

COUNT = 300
SEEDS = 5


class Digits(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.Linear(128, 10)

    def forward(self, x):
        return self.fc(F.relu(self.conv(x)).flatten(1))


def main():
    torch.manual_seed(0)
    np.random.seed(0)
    digits = load_digits()
    pixels = torch.from_numpy(digits.images).float().unsqueeze(1) / 16.0
    labels = torch.from_numpy(digits.target).long()
    net = Digits()
    adam = torch.optim.Adam(net.parameters(), 5e-3)
    for _ in range(60):
        for part in torch.randperm(1200).split(64):
            adam.zero_grad()
            F.cross_entropy(net(pixels[part]), labels[part]).backward()
            adam.step()
    net.eval()
    weights = {name: [float(f"{v:.6g}") for v in value.flatten().tolist()] for name, value in net.state_dict().items()}
    with torch.no_grad():
        for name, value in net.state_dict().items():
            value.copy_(torch.tensor(weights[name]).reshape(value.shape))
    right = [at for at in range(1200, len(labels)) if net(pixels[at : at + 1]).argmax() == labels[at]][:COUNT]
    x, y = pixels[right], labels[right]
    few = lambda count: lambda seed: torchattacks.OnePixel(net, pixels=count, steps=20, popsize=40)
    square = lambda **options: lambda seed: torchattacks.Square(net, n_queries=100, n_restarts=1, seed=seed, **options)
    attacks = {
        "one_pixel": few(1),
        "two_pixels": few(2),
        "square": square(norm="Linf", eps=0.1),
        "square_l2": square(norm="L2", eps=1.0),
    }
    rates = {}
    for name, attack in attacks.items():
        of_seeds = []
        for seed in range(SEEDS):
            np.random.seed(seed)
            of_seeds.append(float((net(attack(seed)(x, y)).argmax(1) != y).float().mean()))
        rates[name] = sum(of_seeds) / SEEDS
        print(name, of_seeds, rates[name])
    golden = {"weights": weights, "rates": rates, "labels": y.tolist(), "pixels": (x * 16).round().int().flatten().tolist()}
    path = pathlib.Path(__file__).with_name("robust_rates.json")
    path.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in golden.items()) + "\n}\n")


if __name__ == "__main__":
    main()
