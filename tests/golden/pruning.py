"""Makes `pruning.json`: which weights `torch.nn.utils.prune` prunes, and what training makes of those that are left.

    OMP_NUM_THREADS=1 python tests/golden/pruning.py > tests/golden/pruning.json
"""

import json

import torch
from torch import nn
from torch.nn.utils import prune

from from_names import fill, numbers

torch.set_default_dtype(torch.float64)


class Net(nn.Module):
    """The network of `tests/training/pruning.rs`."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 5, 3, padding=1)
        self.conv2 = nn.Conv2d(5, 6, 3, stride=2)
        self.fc = nn.Linear(36, 4)

    def forward(self, x):
        x = torch.tanh(self.conv2(torch.tanh(self.conv1(x))))
        return self.fc(x.flatten(1))


def net():
    net = Net()
    fill(net)
    return net


def images():
    return torch.from_numpy(numbers("pruned", 3 * 2 * 7 * 6)).reshape(3, 2, 7, 6)


LABELS = torch.tensor([1, 0, 3])


def pruned(module):
    """The flat places that a mask prunes."""
    return torch.nonzero(module.weight_mask.flatten() == 0).flatten().tolist()


def one(prune_weight):
    """Prunes `conv2` of a new network."""
    layer = net().conv2
    prune_weight(layer)
    return pruned(layer)


def twice(first, second):
    def both(layer):
        first(layer)
        second(layer)

    return one(both)


def together(amounts):
    model = net()
    layers = [model.conv1, model.conv2, model.fc]
    for amount in amounts:
        prune.global_unstructured([(layer, "weight") for layer in layers], prune.L1Unstructured, amount=amount)
    return [pruned(layer) for layer in layers]


def loss(model):
    return nn.functional.cross_entropy(model(images()), LABELS)


def trained(make, clip=None):
    """The weights of a pruned network after five steps."""
    model = net()
    prune.l1_unstructured(model.conv2, "weight", 0.6)
    prune.ln_structured(model.fc, "weight", 0.3, n=2, dim=1)
    optimizer = make(model.parameters())
    for _ in range(5):
        optimizer.zero_grad()
        loss(model).backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
    return {name: (model.get_submodule(name)(probe).flatten().tolist()) for name, probe in PROBES.items()}


# A layer's outputs for these inputs show its weights.
PROBES = {
    "conv2": torch.from_numpy(numbers("probe2", 1 * 5 * 7 * 6)).reshape(1, 5, 7, 6),
    "fc": torch.from_numpy(numbers("probe3", 2 * 36)).reshape(2, 36),
}


class Movement(torch.autograd.Function):
    """The masked weight of Sanh et al.: the scores' gradient is that of the masked weight, times the weight."""

    @staticmethod
    def forward(context, weight, scores, mask):
        context.save_for_backward(weight, mask)
        return weight * mask

    @staticmethod
    def backward(context, gradient):
        weight, mask = context.saved_tensors
        return gradient * mask, gradient * weight, None


def movement():
    """Movement pruning by SGD, in which every second step chooses the weights of `conv2` anew."""
    model = net()
    weight, bias = model.conv2.weight, model.conv2.bias
    scores = torch.zeros_like(weight, requires_grad=True)
    mask, chosen = torch.ones_like(weight), []
    others = [model.conv1.weight, model.conv1.bias, weight, bias, model.fc.weight, model.fc.bias]
    for step in range(1, 7):
        masked = Movement.apply(weight, scores, mask)
        x = torch.tanh(nn.functional.conv2d(torch.tanh(model.conv1(images())), masked, bias, stride=2))
        value = nn.functional.cross_entropy(model.fc(x.flatten(1)), LABELS)
        *gradients, of_scores = torch.autograd.grad(value, [*others, scores])
        with torch.no_grad():
            scores -= of_scores
            for parameter, gradient in zip(others, gradients):
                parameter -= 0.5 * gradient
            if step % 2 == 0:
                mask = torch.zeros_like(weight)
                count = weight.numel() - round(0.7 * weight.numel())
                mask.view(-1)[torch.topk(scores.flatten(), count).indices] = 1
                chosen.append(torch.nonzero(mask.flatten() == 0).flatten().tolist())
    return {"pruned": chosen, "weight": (weight * mask).detach().flatten().tolist()}


def main():
    golden = {
        "l1_share": one(lambda layer: prune.l1_unstructured(layer, "weight", 0.35)),
        "l1_count": one(lambda layer: prune.l1_unstructured(layer, "weight", 17)),
        "l1_twice": twice(
            lambda layer: prune.l1_unstructured(layer, "weight", 0.35),
            lambda layer: prune.l1_unstructured(layer, "weight", 0.35),
        ),
        "global": together([0.4]),
        "global_twice": together([0.4, 0.25]),
    }
    for order in (1, 2, 3.5, float("inf"), -float("inf")):
        for dim in (0, 1):
            golden[f"ln_{order}_{dim}"] = one(lambda layer: prune.ln_structured(layer, "weight", 0.4, n=order, dim=dim))
    golden["ln_twice"] = twice(
        lambda layer: prune.ln_structured(layer, "weight", 2, n=2, dim=0),
        lambda layer: prune.ln_structured(layer, "weight", 0.5, n=2, dim=0),
    )
    golden["ln_after_l1"] = twice(
        lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
        lambda layer: prune.ln_structured(layer, "weight", 0.5, n=1, dim=1),
    )
    # Options that float32 holds exactly.
    betas, eps = (0.875, 1 - 2**-10), 2**-27
    golden["trained"] = {
        "sgd": trained(lambda p: torch.optim.SGD(p, 0.25, momentum=0.875, weight_decay=0.125, nesterov=True)),
        "clipped": trained(lambda p: torch.optim.SGD(p, 0.25, momentum=0.875), clip=0.25),
        "adam": trained(lambda p: torch.optim.Adam(p, 2**-5, betas, eps, weight_decay=0.125)),
        "adamw": trained(lambda p: torch.optim.AdamW(p, 2**-5, betas, eps, weight_decay=0.125)),
    }
    golden["movement"] = movement()
    print(json.dumps(golden))


main()
