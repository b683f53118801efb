"""Writes segmentation.json: torchvision's segmenters and a U-Net, with names and values that `tests/training/segmentation.rs`
compares.

    python tests/golden/segmentation.py

Weights follow from names (`from_names.py`); results are those of `network_runs.py`. Of the logits every sixth pixel in both
directions is kept, and the loss is the cross entropy there. Nothing is dropped. The U-Net is written down here with the names that
it has in the crate.
"""

import json
import pathlib

import torch
import torchvision
from torch import nn
from torch.nn import functional as F
from torchvision.models import mobilenetv3, resnet, segmentation
from torchvision.models._utils import IntermediateLayerGetter

from from_names import names
from network_runs import runs

BATCH, CLASSES, STEP = 4, 3, 6
VARIANTS = """fcn_resnet50 fcn_resnet101 deeplabv3_resnet50 deeplabv3_resnet101 deeplabv3_mobilenet_v3_large
    lraspp_mobilenet_v3_large""".split()


class Double(nn.Module):
    def __init__(self, inputs, outputs, batch_norm):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        if batch_norm:
            self.bn1 = nn.BatchNorm2d(outputs)
            self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x):
        for number in "12":
            x = getattr(self, "conv" + number)(x)
            x = getattr(self, "bn" + number, nn.Identity())(x).relu()
        return x


class Up(Double):
    def __init__(self, outputs, batch_norm, is_resized):
        super().__init__(2 * outputs, outputs, batch_norm)
        self.is_resized = is_resized
        if is_resized:
            self.conv = nn.Conv2d(2 * outputs, outputs, 3, padding=1)
        else:
            self.conv = nn.ConvTranspose2d(2 * outputs, outputs, 2, stride=2)

    def forward(self, x, whole):
        if self.is_resized:
            x = F.interpolate(x, size=whole.shape[-2:], mode="bilinear", align_corners=False)
        return super().forward(torch.cat([whole, self.conv(x)], dim=1))


class UNet(nn.Module):
    def __init__(self, depth, width, batch_norm, is_resized):
        super().__init__()
        widths = [width << level for level in range(depth + 1)]
        self.down = nn.ModuleList(Double(i, o, batch_norm) for i, o in zip([3, *widths], widths[:-1]))
        self.bottom = Double(widths[-2], widths[-1], batch_norm)
        self.up = nn.ModuleList(Up(outputs, batch_norm, is_resized) for outputs in widths[-2::-1])
        self.head = nn.Conv2d(width, CLASSES, 1)

    def forward(self, x):
        skipped = []
        for double in self.down:
            skipped.append(double(x))
            x = F.max_pool2d(skipped[-1], 2)
        x = self.bottom(x)
        for up in self.up:
            x = up(x, skipped.pop())
        return {"out": self.head(x)}


def fcn():
    layers = resnet.ResNet(
        resnet.Bottleneck, [1, 1, 2, 2], replace_stride_with_dilation=[False, True, True], width_per_group=8
    )
    backbone = IntermediateLayerGetter(layers, {"layer4": "out", "layer3": "aux"})
    head = segmentation.fcn.FCNHead
    return segmentation.FCN(backbone, head(2048, CLASSES), head(1024, CLASSES))


def narrow_mobilenet():
    return mobilenetv3.MobileNetV3(
        *mobilenetv3._mobilenet_v3_conf("mobilenet_v3_large", width_mult=0.25, dilated=True)
    )


def lraspp():
    backbone = IntermediateLayerGetter(narrow_mobilenet().features, {"4": "low", "16": "high"})
    return segmentation.LRASPP(backbone, 16, 240, CLASSES, inter_channels=16)


# Sizes are such that maps are resized by powers of two.
CASES = {
    "fcn": (fcn, 24),
    "deeplabv3": (lambda: segmentation.deeplabv3._deeplabv3_mobilenetv3(narrow_mobilenet(), CLASSES, True), 32),
    "lraspp": (lraspp, 32),
    "unet": (lambda: UNet(2, 4, False, False), 20),
    "unet_resized": (lambda: UNet(2, 4, True, True), 20),
}


def loss(outputs):
    """The sum of the cross entropies of each output for classes that follow from a pixel's place."""
    rows, columns = outputs[0].shape[-2:]
    places = 3 * torch.arange(BATCH).view(-1, 1, 1) + 2 * torch.arange(rows).view(-1, 1) + torch.arange(columns)
    return sum(F.cross_entropy(output, places % CLASSES) for output in outputs)


def case(make, side):
    model = make()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    whole = model.forward
    model.forward = lambda images: [output[..., ::STEP, ::STEP] for output in whole(images).values()]
    return {"side": side, **runs(model, (BATCH, 3, side, side), loss)}


def main():
    # Initial values take time and count for nothing here.
    for draw in [name for name in dir(nn.init) if name.endswith("_") and not name.startswith("_")]:
        setattr(nn.init, draw, lambda tensor, *_, **__: tensor)
    variants = {}
    for name in VARIANTS:
        for aux_loss in [False, True] if "lraspp" not in name else [None]:
            extra = {} if aux_loss is None else {"aux_loss": aux_loss}
            model = getattr(segmentation, name)(weights=None, weights_backbone=None, **extra)
            variants[f"{name} aux_loss" if aux_loss else name] = names(model)
    cases = {name: case(*arguments) for name, arguments in CASES.items()}
    for name, results in cases.items():
        print(name, {mode: results[mode]["f32"] for mode in ("eval", "train")})
    path = pathlib.Path(__file__).with_name("segmentation.json")
    path.write_text(json.dumps({"variants": variants, "cases": cases}, separators=(",", ":")) + "\n")


main()
