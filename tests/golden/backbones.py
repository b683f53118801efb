"""Writes backbones.json: torchvision's backbones of detectors and feature pyramids, which `tests/training/backbones.rs` compares.

    python tests/golden/backbones.py
"""

import json
import pathlib

import numpy as np
import torch
from from_names import digest, fill, names, numbers
from torch import nn
from torchvision.models.detection.backbone_utils import mobilenet_backbone, resnet_fpn_backbone
from torchvision.ops import FeaturePyramidNetwork, FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool, LastLevelP6P7


def number(name, shape):
    values = numbers(name, int(np.prod(shape))).astype(np.float32).astype(np.float64)
    return torch.from_numpy(values).reshape(shape)


BACKBONES = {
    "resnet50": lambda: resnet_fpn_backbone(backbone_name="resnet50", weights=None),
    "resnet18_all": lambda: resnet_fpn_backbone(backbone_name="resnet18", weights=None, trainable_layers=5, norm_layer=nn.BatchNorm2d),
    "resnet18_p6p7": lambda: resnet_fpn_backbone(
        backbone_name="resnet18", weights=None, trainable_layers=0, returned_layers=[2, 3, 4], extra_blocks=LastLevelP6P7(256, 256)
    ),
    "mobilenet_fpn": lambda: mobilenet_backbone(backbone_name="mobilenet_v3_large", weights=None, fpn=True),
    "mobilenet_small_fpn": lambda: mobilenet_backbone(
        backbone_name="mobilenet_v3_small", weights=None, fpn=True, trainable_layers=6, returned_layers=[1, 3, 4]
    ),
    "mobilenet": lambda: mobilenet_backbone(backbone_name="mobilenet_v3_large", weights=None, fpn=False, trainable_layers=0),
}


def backbone(make):
    model = make()
    fill(model)
    model.double().eval()
    levels = model(number("images", (1, 3, 64, 64)))
    levels = list(levels.values()) if isinstance(levels, dict) else [levels]
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    return names(model) | {"trained": trained, "levels": [digest(f"level{i}", level.detach()) for i, level in enumerate(levels)]}


PYRAMIDS = {
    "plain": lambda: FeaturePyramidNetwork([5, 6, 7], 4),
    "max_pool": lambda: FeaturePyramidNetwork([5, 6, 7], 4, LastLevelMaxPool()),
    "p6p7_of_output": lambda: FeaturePyramidNetwork([5, 6, 7], 4, LastLevelP6P7(4, 4)),
    "p6p7_of_input": lambda: FeaturePyramidNetwork([5, 6, 7], 4, LastLevelP6P7(7, 4)),
    "normed": lambda: FeaturePyramidNetwork([5, 6, 7], 4, norm_layer=nn.BatchNorm2d),
    "frozen": lambda: FeaturePyramidNetwork([5, 6, 7], 4, norm_layer=FrozenBatchNorm2d),
}


def pyramid(make):
    model = make().double()
    fill(model)
    inputs = [number(f"x{i}", shape).requires_grad_() for i, shape in enumerate([(2, 5, 13, 11), (2, 6, 7, 5), (2, 7, 3, 3)])]
    levels = list(model({str(i): x for i, x in enumerate(inputs)}).values())
    sum((level * number(f"cotangent{i}", level.shape)).sum() for i, level in enumerate(levels)).backward()
    gradients = dict(model.named_parameters()) | {f"x{i}": x for i, x in enumerate(inputs)}
    return {
        "levels": [digest(f"level{i}", level.detach()) for i, level in enumerate(levels)],
        "gradients": [digest(name, gradients[name].grad) for name in sorted(gradients)],
    }


result = {
    "backbones": {name: backbone(make) for name, make in BACKBONES.items()},
    "pyramids": {name: pyramid(make) for name, make in PYRAMIDS.items()},
}
path = pathlib.Path(__file__).with_name("backbones.json")
path.write_text(json.dumps(result, separators=(",", ":")) + "\n")
