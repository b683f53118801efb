"""Counts PyTorch's memory of a training step of torchvision's networks, and writes zoo.json beside itself:

    python zoo.py [NAME...]

A step is a forward pass, the cross entropy, its gradient and an update by Adam, of 8 images. The count is the most bytes that
storages of tensors held at once in the third step, weights and Adam's averages included. Fake tensors tell that as well as
computed ones, of which PyTorch's CPU kernels would hold workspaces besides; a detector, whose sizes depend on what it finds, computes.
"""

import contextlib
import json
import sys
import weakref
from pathlib import Path

import torch
import torchvision
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

BATCH = 8
CLASSES = 10
# The side of the images that a network was made for, where it is not SIDE.
SIDES = {"inception_v3": 299}
SIDE = 224
ARGUMENTS = {"googlenet": {"init_weights": False, "aux_logits": False}, "inception_v3": {"init_weights": False, "aux_logits": False}}


class Counted(TorchDispatchMode):
    """Counts the bytes of storages while they live."""

    def __init__(self):
        super().__init__()
        self.held, self.peak, self.known = 0, 0, set()

    def count(self, tensor):
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self.known:
            return
        size = storage.nbytes()
        self.known.add(key)
        self.held += size
        self.peak = max(self.peak, self.held)
        weakref.finalize(storage, self.forget, key, size)

    def forget(self, key, size):
        self.known.discard(key)
        self.held -= size

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self.count(leaf)
        return result


def with_numbers(build):
    """Lets a constructor read the numbers of the tensors that it makes."""

    def built(*args, **kwargs):
        with unset_fake_temporarily():
            return build(*args, **kwargs)

    return built


# First values count for nothing here.
for draw in [name for name in dir(torch.nn.init) if name.endswith("_") and not name.startswith("_")]:
    setattr(torch.nn.init, draw, lambda tensor, *_, **__: tensor)
regnet = torchvision.models.regnet.BlockParams
regnet.from_init_params = with_numbers(regnet.from_init_params)


def made(name, side):
    """A network and the loss of images."""
    if name in torchvision.models.list_models(torchvision.models.detection):
        sizes = {"min_size": side, "max_size": side, "weights_backbone": None}
        net = getattr(torchvision.models.detection, name)(num_classes=CLASSES, **sizes)
        boxes = torch.tensor([[8.0, 8.0, 120.0, 90.0], [40.0, 60.0, 200.0, 210.0]])
        targets = [{"boxes": boxes, "labels": torch.tensor([1, 2])} for _ in range(BATCH)]
        return net, lambda images: sum(net(list(images), targets).values())
    segmenters = torchvision.models.segmentation
    if name in torchvision.models.list_models(segmenters):
        net = getattr(segmenters, name)(num_classes=CLASSES, weights_backbone=None)
        labels = torch.ones(BATCH, side, side, dtype=torch.int64)
        return net, lambda images: torch.nn.functional.cross_entropy(net(images)["out"], labels)
    net = getattr(torchvision.models, name)(num_classes=CLASSES, **ARGUMENTS.get(name, {}))
    labels = torch.ones(BATCH, dtype=torch.int64)
    return net, lambda images: torch.nn.functional.cross_entropy(net(images), labels)


def bytes_of_step(name):
    side = SIDES.get(name, SIDE)
    is_detector = name in torchvision.models.list_models(torchvision.models.detection)
    counted = Counted()
    with contextlib.nullcontext() if is_detector else FakeTensorMode(), counted:
        net, loss = made(name, side)
        images = torch.ones(BATCH, 3, side, side)
        optimizer = torch.optim.Adam(net.parameters())
        for _ in range(3):
            counted.peak = counted.held
            optimizer.zero_grad()
            loss(images).backward()
            optimizer.step()
    return {"side": side, "bytes": counted.peak}


def main(names):
    path = Path(__file__).with_name("zoo.json")
    counts = json.loads(path.read_text()) if path.exists() else {}
    for name in names or torchvision.models.list_models(torchvision.models):
        counts[name] = bytes_of_step(name)
        print(name, counts[name], flush=True)
        write(path, counts)


def write(path, counts):
    path.write_text("{\n" + ",\n".join(f'"{name}": {json.dumps(counts[name])}' for name in sorted(counts)) + "\n}\n")


main(sys.argv[1:])
