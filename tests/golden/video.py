"""Writes video.json: torchvision's networks over clips, and a network of a frame with an LSTM behind, for
`tests/training/video.rs`.

    python tests/golden/video.py
"""

import json
import pathlib

import torch
from torchvision.models import shufflenet_v2_x0_5, video
from torchvision.models.video import resnet

from from_names import names
from network_runs import classes_of, runs

CLASSES = 7
WIDTH = 8


class Narrow(resnet.VideoResNet):
    """torchvision's network with an eighth of its channels, whose constructor has no option for that."""

    def _make_layer(self, block, conv_builder, planes, blocks, stride=1):
        if planes == 64:
            self.inplanes = WIDTH
        return super()._make_layer(block, conv_builder, planes * WIDTH // 64, blocks, stride)


def stem(between=None):
    """torchvision's two stems, with an eighth of their channels."""
    wide = resnet.BasicStem() if between is None else resnet.R2Plus1dStem()
    channels = {3: 3, 45: between, 64: WIDTH}
    layers = []
    for layer in wide:
        if isinstance(layer, torch.nn.Conv3d):
            layer = torch.nn.Conv3d(
                channels[layer.in_channels], channels[layer.out_channels], layer.kernel_size, layer.stride, layer.padding,
                bias=False,
            )
        elif isinstance(layer, torch.nn.BatchNorm3d):
            layer = torch.nn.BatchNorm3d(channels[layer.num_features])
        layers.append(layer)
    return torch.nn.Sequential(*layers)


def narrow(convolutions, make_stem):
    net = Narrow(resnet.BasicBlock, convolutions, [2, 1, 1, 1], make_stem, CLASSES)
    net.fc = torch.nn.Linear(8 * WIDTH, CLASSES)
    return net


class CnnLstm(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = shufflenet_v2_x0_5()
        self.lstm = torch.nn.LSTM(2048, 6, num_layers=2, bidirectional=True, batch_first=True)
        self.fc = torch.nn.Linear(12, CLASSES)

    def forward(self, clip):
        frames = clip.transpose(1, 2)
        x = frames.flatten(0, 1)
        for name in ("conv1", "maxpool", "stage2", "stage3", "stage4", "conv5"):
            x = getattr(self.backbone, name)(x)
        features = torch.nn.functional.adaptive_avg_pool2d(x, (1, 2)).flatten(1).unflatten(0, frames.shape[:2])
        states = self.lstm(features)[1][0]
        return self.fc(torch.cat([states[-2], states[-1]], 1))


CASES = {
    "r3d": (lambda: narrow([resnet.Conv3DSimple] * 4, stem), (3, 3, 6, 20, 16)),
    "mc3": (lambda: narrow([resnet.Conv3DSimple] + [resnet.Conv3DNoTemporal] * 3, stem), (3, 3, 5, 16, 18)),
    "r2plus1d": (lambda: narrow([resnet.Conv2Plus1D] * 4, lambda: stem(6)), (3, 3, 8, 24, 24)),
    # A size for which no rectifier decides about less than float32 computes.
    "cnn_lstm": (CnnLstm, (2, 3, 3, 44, 64)),
}


def main():
    torch.manual_seed(0)
    variants = {name: names(getattr(video, name)()) for name in ("r3d_18", "mc3_18", "r2plus1d_18")}
    cases = {}
    for name, (make, shape) in CASES.items():
        loss = lambda outputs, batch=shape[0]: classes_of(outputs, batch, CLASSES)
        cases[name] = {"shape": shape, **runs(make(), shape, loss)}
        print(name, {mode: cases[name][mode]["f32"] for mode in ("eval", "train")}, flush=True)
    path = pathlib.Path(__file__).with_name("video.json")
    path.write_text(json.dumps({"variants": variants, "cases": cases}, separators=(",", ":")) + "\n")


main()
