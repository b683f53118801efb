"""Writes views.json: what `wgrad::explain` shows of a network, by PyTorch and torchvision.

    python tests/golden/views.py

The network's weights and the images follow from their names (`from_names.py`). All is computed in float64.
"""

import json
import pathlib
from collections import OrderedDict

import numpy as np
import torch
from torch import nn
from torchvision.transforms.v2.functional import gaussian_blur
from torchvision.utils import make_grid

from from_names import fill, numbers

SHAPE = (2, 3, 9, 8)
LABELS = torch.tensor([2, 0])
BINS = 7


def tensor(name, shape):
    return torch.from_numpy(numbers(name, int(np.prod(shape))).astype(np.float32).astype(np.float64).reshape(shape))


def network():
    net = nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 4, 3, padding=1),
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(4, 5, 3, stride=2, padding=1),
            relu2=nn.ReLU(),
            conv3=nn.Conv2d(5, 3, 3, padding=1),
            flat=nn.Flatten(),
            fc=nn.Linear(60, 4),
        )
    )
    net = net.double().eval()
    fill(net)
    return net


def rounded(values):
    return [float(f"{value:.12g}") for value in torch.as_tensor(values).flatten().tolist()]


def stretched(pictures, scale_each):
    """The cells of torchvision's grid, which repeats single channels."""
    grid = make_grid(pictures, nrow=len(pictures), padding=0, normalize=True, scale_each=scale_each)
    cells = grid.reshape(grid.shape[0], pictures.shape[2], len(pictures), -1).permute(2, 0, 1, 3)
    return rounded(cells[:, : pictures.shape[1]])


def layers(net, x):
    """The outputs of all layers, tracked."""
    outputs = OrderedDict()
    for name, layer in net.named_children():
        x = layer(x)
        outputs[name] = x
    return outputs


def effective_receptive_field(net, x, layer):
    x = x.clone().requires_grad_()
    maps = layers(net, x)[layer]
    maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2].sum().backward()
    return rounded(x.grad.abs().sum(1).mean(0))


def histograms(tensors):
    def of(values):
        low, high = values.min().item(), values.max().item()
        return {"min": low, "max": high, "counts": torch.histc(values, BINS, low, high).int().tolist()}

    return {name: of(values.detach()) for name, values in tensors.items()}


def total_variation(x, beta):
    """MatConvNet's, with the last row and column repeated."""
    across = torch.diff(x, dim=3, append=x[:, :, :, -1:])
    down = torch.diff(x, dim=2, append=x[:, :, -1:])
    return ((across**2 + down**2 + 1e-12) ** (beta / 2)).sum((1, 2, 3))


def penalty(x):
    blurred = gaussian_blur(x, [7, 7], [1.0, 1.0])
    norm = ((x - 0.5).abs() ** 6).mean((1, 2, 3))
    return 0.3 * total_variation(x, 1.5) / x[0].numel() + 0.2 * norm + 0.7 * ((x - blurred) ** 2).mean((1, 2, 3)) / 2


def waves(height, width):
    """An image of a spectrum, and the scale of its waves by lucid's formula."""
    parts = tensor(f"spectrum{height}x{width}", (1, 2, 2, height, width // 2 + 1))
    image = torch.fft.irfft2(torch.complex(parts[:, :, 0], parts[:, :, 1]), s=(height, width))
    cycles = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    return image, np.sqrt(height * width) / np.maximum(cycles, 1 / max(height, width)) ** 0.8


def dream(net, x, octaves, scale, steps, lr, layer):
    size = lambda octave: [round(side * scale ** -(octaves - 1 - octave)) for side in x.shape[2:]]
    resized = lambda image, octave: nn.functional.interpolate(image, size=size(octave), mode="bilinear")
    details = 0
    for octave in range(octaves):
        base = resized(x, octave)
        image = base + (resized(details, octave) if octave else 0)
        for _ in range(steps):
            image = image.detach().requires_grad_()
            maps = (image - 0.375) / 0.5
            for name, module in net.named_children():
                maps = module(maps)
                if name == layer:
                    break
            (maps**2).mean((1, 2, 3)).sum().div(2).backward()
            gradient = image.grad
            image = (image + lr * gradient / gradient.abs().mean((1, 2, 3), keepdim=True)).clamp(0, 1)
        details = image.detach() - base
    return image.detach()


def main():
    net, x = network(), tensor("images", SHAPE)
    outputs = layers(net, x)
    loss = nn.functional.cross_entropy(outputs["fc"], LABELS)
    gradients = torch.autograd.grad(loss, list(outputs.values()))
    conv1, conv2 = net.conv1.weight.detach(), net.conv2.weight.detach()
    maps = outputs["relu2"].detach()
    direction = tensor("direction", conv2.shape)
    normalized = torch.stack([d * w.norm() / (d.norm() + 1e-10) for d, w in zip(direction, conv2)])
    # A shift of the second convolution's biases, by which some of its channels die.
    shifted = network()
    shifted.conv2.bias.data -= 0.4
    dead = {name: int((out.transpose(0, 1).flatten(1).amax(1) <= 0).sum()) for name, out in layers(shifted, x).items()}
    golden = {
        "filters_each": stretched(conv1, True),
        "filters_all": stretched(conv2.reshape(20, 1, 3, 3), False),
        "maps_each": stretched(maps.reshape(10, 1, *maps.shape[2:]), True),
        "field_conv1": effective_receptive_field(net, x, "conv1"),
        "field_conv3": effective_receptive_field(net, x, "conv3"),
        "activations": histograms(outputs),
        "gradients": histograms(dict(zip(outputs, gradients))),
        "filter_normalized": rounded(normalized),
        "dead": dead,
        **{f"total_variation_{beta}": rounded(total_variation(x, beta)) for beta in (1.0, 2.0, 2.5)},
        "penalty": rounded(penalty(x)),
        "dream_once": rounded(dream(net, (x + 1) / 2, 1, 1.3, 3, 0.0625, "conv3")),
        "dream": rounded(dream(net, (x + 1) / 2, 3, 1.3, 2, 0.0625, "relu2")),
    }
    for height, width in ((4, 6), (5, 7), (1, 1)):
        image, scale = waves(height, width)
        golden[f"irfft2_{height}x{width}"], golden[f"scale_{height}x{width}"] = rounded(image), rounded(scale)
    (pathlib.Path(__file__).parent / "views.json").write_text(json.dumps(golden) + "\n")


main()
