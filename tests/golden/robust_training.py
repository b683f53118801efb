"""Writes robust_training.json: what training under attack makes of a network, by the papers' formulas in float64.

    python tests/golden/robust_training.py

The network and its weights are those of `robust.py`, the images bytes that follow from their names. The formulas are those of the
papers' own code: Madry et al. (2017), Shafahi et al. (2019) and Zhang et al. (2019);
defensive distillation is the formula of Papernot et al. (2015).
"""

import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

from from_names import digest, fill, numbers
from robust import Net

BATCHES, BATCH = 2, 3
LABELS = torch.tensor([0, 3, 1, 2, 2, 0])


def images():
    """As batches of a set hold them: normalised in float32's factors, here undone."""
    unit = numbers("bytes", BATCHES * BATCH * 2 * 7 * 6)
    scale = float(np.float32(1.0 / (255.0 * 0.25)))
    normalised = np.round(127.5 + 120.0 * unit) * scale - 2.0
    return torch.from_numpy((normalised * 0.25 + 0.5).reshape(BATCHES * BATCH, 2, 7, 6))


def batches():
    return zip(images().split(BATCH), LABELS.split(BATCH))


def attacked(net, x, raised, near, eps, step, steps):
    for _ in range(steps):
        near = near.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(raised(net(near)), near)
        near = (x + (near + step * gradient.sign() - x).clamp(-eps, eps)).clamp(0, 1).detach()
    return near


def network():
    net = Net().double()
    fill(net)
    return net, torch.optim.SGD(net.parameters(), lr=0.125, momentum=0.875)


def madry():
    net, sgd = network()
    losses = []
    for epoch in range(2):
        for x, y in batches():
            # The bound grows with the number of steps.
            eps = 0.02 * (len(losses) + 1)
            near = attacked(net, x, lambda logits: F.cross_entropy(logits, y, reduction="sum"), x, eps, 0.015, 3)
            loss = F.cross_entropy(net(near), y, label_smoothing=0.1)
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            losses.append(loss.item())
    return net, {"losses": losses}


def free():
    net, sgd = network()
    change, eps, step = torch.zeros(BATCH, 2, 7, 6, dtype=torch.float64), 0.05, 0.03
    for epoch in range(2):
        for x, y in batches():
            for _ in range(3):
                delta = change.clone().requires_grad_()
                loss = F.cross_entropy(net((x + delta).clamp(0, 1)), y)
                sgd.zero_grad()
                loss.backward()
                change = (change + step * delta.grad.sign()).clamp(-eps, eps)
                sgd.step()
    return net, {"change": change.flatten().tolist()}


def trades():
    net, sgd = network()
    x, y = next(iter(batches()))
    plain = F.softmax(net(x), dim=1).detach()
    start = x + 0.01 * torch.from_numpy(numbers("start", x.numel()).reshape(x.shape))
    raised = lambda logits: F.kl_div(F.log_softmax(logits, 1), plain, reduction="sum")
    near = attacked(net, x, raised, start, 0.05, 0.02, 4)
    logits = net(x)
    natural = F.cross_entropy(logits, y)
    robust = F.kl_div(F.log_softmax(net(near), 1), F.softmax(logits, 1), reduction="batchmean")
    loss = natural + 6.0 * robust
    loss.backward()
    gradients = {name: digest(name, parameter.grad) for name, parameter in net.named_parameters()}
    return {"near": near.flatten().tolist(), "loss": loss.item(), "robust": robust.item(), "gradients": gradients}


def distillation():
    teacher, (net, sgd) = network()[0], network()
    x, y = next(iter(batches()))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter *= 0.5
        soft = F.softmax(teacher(x) / 20.0, dim=1)
    first = F.cross_entropy(teacher(x) / 20.0, y)
    loss = F.cross_entropy(net(x) / 20.0, soft)
    loss.backward()
    gradients = {name: digest(name, parameter.grad) for name, parameter in net.named_parameters()}
    return {"teacher": first.item(), "loss": loss.item(), "gradients": gradients}


def main():
    golden = {}
    for name, (net, more) in {"madry": madry(), "free": free()}.items():
        golden[name] = more | {"weights": {key: digest(key, value) for key, value in net.state_dict().items()}}
    golden["trades"], golden["distillation"] = trades(), distillation()
    rounded = json.loads(json.dumps(golden), parse_float=lambda text: float(f"{float(text):.13g}"))
    path = pathlib.Path(__file__).with_name("robust_training.json")
    path.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in rounded.items()) + "\n}\n")


if __name__ == "__main__":
    main()
