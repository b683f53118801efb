"""Writes distillation.json: losses of distillation and their gradients by PyTorch in float64.

    python tests/golden/distillation.py

Inputs and weights follow from their names (`from_names.py`). The formulas are those of Hinton et al., of Zagoruyko and Komodakis'
program, and of Romero et al.
"""

import json
import pathlib

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from from_names import digest, fill, numbers, value


def named(name, *shape):
    return torch.from_numpy(numbers(name, int(np.prod(shape))).reshape(shape))


def soft_targets(student, teacher, t):
    return t * t * F.kl_div(F.log_softmax(student / t, 1), F.softmax(teacher / t, 1), reduction="batchmean")


def attention(x):
    return F.normalize(x.pow(2).mean(1).flatten(1))


def attention_loss(student, teacher):
    return (attention(student) - attention(teacher)).pow(2).mean()


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(2, width, 3), nn.Conv2d(width, width + 1, 3)
        self.fc = nn.Linear((width + 1) * 2 * 3, 4)

    def maps(self, x):
        first = self.conv1(x)
        second = self.conv2(torch.tanh(first))
        return first, second, self.fc(torch.tanh(second).flatten(1))


def main():
    golden = {}
    student = (3 * named("student", 5, 4)).requires_grad_()
    loss = soft_targets(student, 3 * named("teacher", 5, 4), 2.5)
    golden["soft"] = [loss.item(), *torch.autograd.grad(loss, student)[0].flatten().tolist()]
    maps = named("student maps", 2, 3, 4, 3).requires_grad_()
    loss = attention_loss(maps, named("teacher maps", 2, 5, 4, 3))
    golden["attention"] = [loss.item(), *torch.autograd.grad(loss, maps)[0].flatten().tolist()]

    teacher, net, regressor = Net(7).double(), Net(3).double(), nn.Conv2d(3, 8, 3).double()
    fill(teacher)
    fill(net)
    with torch.no_grad():
        for name, parameter in regressor.named_parameters():
            parameter.copy_(value(f"regressor.{name}", tuple(parameter.shape)))
    x, labels = named("batch", 6, 2, 6, 7), torch.tensor([0, 1, 2, 3, 1, 0])
    with torch.no_grad():
        taught = teacher.maps(x)
    first, second, logits = net.maps(x)
    loss = 0.3 * F.cross_entropy(logits, labels) + 0.7 * soft_targets(logits, taught[2], 3.0)
    loss = loss + 50 * attention_loss(second, taught[1]) + 2 * F.mse_loss(regressor(first), taught[1])
    loss.backward()
    trained = {**dict(net.named_parameters()), **{f"regressor.{n}": p for n, p in regressor.named_parameters()}}
    golden["loss"] = [loss.item()]
    golden["gradients"] = [digest(name, trained[name].grad) for name in sorted(trained)]
    path = pathlib.Path(__file__).with_name("distillation.json")
    path.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in golden.items()) + "\n}\n")


if __name__ == "__main__":
    main()
