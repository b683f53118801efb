"""Writes robust.json: adversarial images by torchattacks 3.5.1 and foolbox 3.3.4.

    python tests/golden/robust.py

The network's weights and the images follow from their names (`from_names.py`). Attacks without random numbers are compared image by
image, in float64.
"""

import json
import pathlib

import foolbox
import numpy as np
import torch
import torchattacks
from torch import nn

from from_names import fill, numbers

SHAPE = (3, 2, 7, 6)
TARGETS = [2, 0, 3]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(2, 5, 3, padding=1), nn.Conv2d(5, 6, 3, stride=2)
        self.fc = nn.Linear(6 * 3 * 2, 4)

    def forward(self, x):
        x = torch.tanh(self.conv1((x - 0.5) / 0.25))
        return self.fc(torch.tanh(self.conv2(x)).flatten(1))


def images():
    unit = numbers("attacked", int(np.prod(SHAPE))).astype(np.float32)
    return torch.from_numpy((0.5 + 0.45 * unit.astype(np.float64)).astype(np.float32).astype(np.float64).reshape(SHAPE))


def main():
    net = Net().double().eval()
    fill(net)
    x, targets = images(), torch.tensor(TARGETS)
    labels = net(x).argmax(1)
    ours = {
        "fgsm": torchattacks.FGSM(net, eps=0.05),
        "bim": torchattacks.BIM(net, eps=0.05, alpha=0.02, steps=5),
        "pgd": torchattacks.PGD(net, eps=0.04, alpha=0.015, steps=6, random_start=False),
        "pgd_l2": torchattacks.PGDL2(net, eps=0.5, alpha=0.2, steps=6, random_start=False),
        "mi_fgsm": torchattacks.MIFGSM(net, eps=0.05, alpha=0.02, steps=5, decay=0.7),
    }
    found = {}
    for name, attack in ours.items():
        found[name] = attack(x, labels)
        attack.set_mode_targeted_by_label(quiet=True)
        found[f"{name}_targeted"] = attack(x, targets)
    wrapped = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
    deep = foolbox.attacks.L2DeepFoolAttack(steps=20, candidates=4, overshoot=0.02)
    found["deep_fool"] = deep.run(wrapped, x, foolbox.criteria.Misclassification(labels))
    carlini = lambda steps: foolbox.attacks.L2CarliniWagnerAttack(
        binary_search_steps=3, steps=steps, stepsize=0.1, confidence=0.1, initial_const=1.0, abort_early=False
    )
    found["carlini_wagner"] = carlini(12).run(wrapped, x, foolbox.criteria.Misclassification(labels))
    found["carlini_wagner_targeted"] = carlini(15).run(wrapped, x, foolbox.criteria.TargetedMisclassification(targets))
    golden = {name: [float(f"{value:.12g}") for value in image.detach().flatten().tolist()] for name, image in found.items()}
    golden["labels"], golden["targets"] = labels.tolist(), TARGETS
    for name, image in found.items():
        print(name, net(image).argmax(1).tolist(), float((image - x).abs().max()))
    path = pathlib.Path(__file__).with_name("robust.json")
    path.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in golden.items()) + "\n}\n")


if __name__ == "__main__":
    main()
