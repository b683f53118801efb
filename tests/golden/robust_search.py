"""Writes robust_search.json: attacks by search, by torchattacks 3.5.1 and foolbox 3.3.4.

    python tests/golden/robust_search.py

The network and its images are those of `robust.py`. Square is torchattacks' with its draws replaced by numbers that follow from a
name, taken one after the other. A universal perturbation is the loop of Moosavi-Dezfooli et al. over foolbox's DeepFool; that by
gradient steps is the formula of Shafahi et al. (2018).
"""

import json
import pathlib

import foolbox
import torch
import torch.nn.functional as F
import torchattacks

from from_names import fill, numbers
from robust import Net, images

TARGETS = [2, 0, 1]


class Draws:
    """Numbers from 0 to 1 in the place of `torch.rand`."""

    def __init__(self, name):
        self.all = (numbers(name, 100_000) + 1.0) / 2.0
        self.next = 0

    def __call__(self, *shape):
        shape = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        count = int(torch.tensor(list(shape)).prod())
        self.next += count
        return torch.from_numpy(self.all[self.next - count : self.next].copy()).reshape(tuple(shape))


def square(net, x, labels, targets=None, **options):
    attack = torchattacks.Square(net, n_restarts=1, seed=0, **options)
    if targets is not None:
        attack.set_mode_targeted_by_label(quiet=True)
    rand, torch.rand = torch.rand, Draws("square")
    torch.set_default_dtype(torch.float64)
    try:
        # The search itself: the attack around it gives images back unchanged where it fails.
        attack.init_hyperparam(x)
        return attack.attack_single_run(x, labels if targets is None else targets)[1]
    finally:
        torch.rand = rand
        torch.set_default_dtype(torch.float32)


def project(change, norm, eps):
    if norm == "linf":
        return change.clamp(-eps, eps)
    return change * min(1.0, eps / max(float(change.norm()), 1e-10))


def universal(net, x, norm, eps, passes):
    wrapped = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
    search = foolbox.attacks.L2DeepFoolAttack(steps=10, candidates=4, overshoot=0.02)
    answers, change = net(x).argmax(1), torch.zeros_like(x[:1])
    for _ in range(passes):
        for at in range(len(x)):
            near, answer = (x[at : at + 1] + change).clamp(0, 1), answers[at : at + 1]
            if net(near).argmax(1) != answer:
                continue
            found = search.run(wrapped, near, foolbox.criteria.Misclassification(answer))
            change = project(change + found - near, norm, eps)
        if (net((x + change).clamp(0, 1)).argmax(1) != answers).double().mean() >= 1.0:
            break
    return change


def by_steps(net, x, labels, norm, eps, step, passes, sign=1.0):
    change = torch.zeros_like(x[:1])
    for _ in range(passes):
        for part, label in zip(x.split(2), labels.split(2)):
            near = (part + change).clamp(0, 1).requires_grad_()
            losses = sign * F.cross_entropy(net(near), label, reduction="none")
            (gradient,) = torch.autograd.grad(losses.clamp(max=1.2).sum(), near)
            gradient = gradient.mean(0, keepdim=True)
            unit = gradient.sign() if norm == "linf" else gradient / gradient.norm()
            change = project(change + step * unit, norm, eps)
    return change


def main():
    net = Net().double().eval()
    fill(net)
    x, targets = images(), torch.tensor(TARGETS)
    labels = net(x).argmax(1)
    found = {
        "square": square(net, x, labels, norm="Linf", eps=0.1, n_queries=60, p_init=0.5),
        "square_small": square(net, x, labels, norm="Linf", eps=0.02, n_queries=60, p_init=0.5),
        "square_targeted": square(net, x, labels, targets, norm="Linf", eps=0.1, n_queries=60, p_init=0.5),
        "square_l2": square(net, x, labels, norm="L2", eps=0.04, n_queries=60, p_init=0.3),
        "square_l2_targeted": square(net, x, labels, targets, norm="L2", eps=0.3, n_queries=60, p_init=0.3),
        "universal": universal(net, x, "linf", 0.08, 3),
        "universal_l2": universal(net, x, "l2", 0.5, 3),
        "universal_sgd": by_steps(net, x, labels, "linf", 0.05, 0.02, 3),
        "universal_sgd_l2": by_steps(net, x, labels, "l2", 0.4, 0.15, 3),
        "universal_sgd_targeted": by_steps(net, x, targets, "linf", 0.05, 0.02, 3, -1.0),
    }
    for name, image in found.items():
        near = image if len(image) == 3 else (x + image).clamp(0, 1)
        print(name, net(near).argmax(1).tolist(), labels.tolist(), float((near - x).abs().max()), float((near - x).flatten(1).norm(dim=1).max()))
    golden = {name: [float(f"{value:.12g}") for value in image.detach().flatten().tolist()] for name, image in found.items()}
    path = pathlib.Path(__file__).with_name("robust_search.json")
    path.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in golden.items()) + "\n}\n")


if __name__ == "__main__":
    main()
