"""Writes reinforcement.json: the loss of Q-learning and one step by it, for `tests/training/q_learning.rs`.

    python tests/golden/reinforcement.py

Weights follow from their names (`from_names.py`), and so do the steps of the batch.
"""

import json
import pathlib

import numpy as np
import torch
from torch import nn

from from_names import digest, numbers, value

ACTIONS = 3
BATCH = 7
TAU = 0.2


class QNetwork(nn.Module):
    def __init__(self, observation, windows, hidden, dueling):
        super().__init__()
        self.convolutions = nn.Sequential()
        shape = list(observation)
        for channels, size, stride in windows:
            self.convolutions.extend([nn.Conv2d(shape[0], channels, size, stride), nn.ReLU()])
            shape = [channels] + [(side - size) // stride + 1 for side in shape[1:]]
        features = int(np.prod(shape))
        stream = lambda outputs: nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
        self.actions = stream(ACTIONS)
        self.value = stream(1) if dueling else None

    def forward(self, x):
        features = self.convolutions(x).flatten(1)
        actions = self.actions(features)
        if self.value is None:
            return actions
        return self.value(features) + actions - actions.mean(1, keepdim=True)


def fill(net, prefix):
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            parameter.copy_(value(prefix + name, tuple(parameter.shape)))


def drawn(name, shape):
    return torch.from_numpy(numbers(name, int(np.prod(shape))).astype(np.float32).astype(np.float64)).reshape(shape)


def case(observation, windows, dueling, double):
    net, target = (QNetwork(observation, windows, 6, dueling).double() for _ in range(2))
    fill(net, "")
    fill(target, "target.")
    states, following = (drawn(name, (BATCH, *observation)) for name in ("observations", "next"))
    actions = torch.arange(BATCH) * 2 % ACTIONS
    rewards = 3 * drawn("rewards", (BATCH,))
    terminated = (torch.arange(BATCH) % 3 == 1).double()
    values = net(states)
    with torch.no_grad():
        ahead = target(following)
        best = ahead.gather(1, net(following).argmax(1, keepdim=True))[:, 0] if double else ahead.max(1).values
        targets = rewards + 0.9 * (1 - terminated) * best
    loss = nn.functional.huber_loss(values.gather(1, actions[:, None])[:, 0], targets, delta=0.75)
    loss.backward()
    gradients = {name: digest(name, parameter.grad) for name, parameter in net.named_parameters()}
    torch.optim.SGD(net.parameters(), lr=0.5).step()
    with torch.no_grad():
        for own, other in zip(target.parameters(), net.parameters()):
            own.lerp_(other, TAU)
    in_order = lambda digests: [digests[name] for name in sorted(digests)]
    state = lambda module: in_order({name: digest(name, parameter.detach()) for name, parameter in module.named_parameters()})
    return {
        "observation": observation, "windows": windows, "dueling": dueling, "double": double,
        "values": values.detach().flatten().tolist(), "targets": targets.tolist(), "loss": loss.item(),
        "gradients": in_order(gradients), "after": state(net), "target": state(target),
    }


def main():
    picture, windows = [2, 9, 8], [[4, 3, 2], [5, 2, 1]]
    cases = [case([4], [], dueling, double) for dueling in (False, True) for double in (False, True)]
    cases += [case(picture, windows, False, False), case(picture, windows, True, True)]
    path = pathlib.Path(__file__).with_name("reinforcement.json")
    path.write_text(json.dumps(cases, separators=(",", ":")) + "\n")


main()
