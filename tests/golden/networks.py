"""Writes networks.json: torchvision's networks, with names and values that `tests/zoo` compares.

    python tests/golden/networks.py [NAME...]

computes all cases, or only those of some names and leaves the others as they are.

Weights are numbers that follow from their names (`from_names.py`), so that nothing but results has to be kept: the logits, the
loss, and of each gradient the norm and its product with numbers of the same kind (`network_runs.py`).
"""

import json
import pathlib
import sys

import torch
import torchvision

from from_names import names
from network_runs import classes_of, runs

CLASSES = 7


def case(make, side, batch=3):
    loss = lambda outputs: classes_of(outputs, batch, CLASSES)
    return {"side": side, "batch": batch, **runs(make(num_classes=CLASSES), (batch, 3, side, side), loss)}


M = torchvision.models
VARIANTS = """resnet18 resnet34 resnet50 resnet101 resnet152 resnext50_32x4d resnext101_32x8d resnext101_64x4d wide_resnet50_2
    wide_resnet101_2 vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn alexnet squeezenet1_0 squeezenet1_1 densenet121 densenet161 densenet169 densenet201 googlenet inception_v3 mobilenet_v2
    mobilenet_v3_small mobilenet_v3_large shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0 mnasnet0_5
    mnasnet0_75 mnasnet1_0 mnasnet1_3 efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4
    efficientnet_b5 efficientnet_b6 efficientnet_b7 efficientnet_v2_s efficientnet_v2_m efficientnet_v2_l regnet_y_400mf
    regnet_y_800mf regnet_y_1_6gf regnet_y_3_2gf regnet_y_8gf regnet_y_16gf regnet_y_32gf regnet_y_128gf regnet_x_400mf regnet_x_800mf
    regnet_x_1_6gf regnet_x_3_2gf regnet_x_8gf regnet_x_16gf regnet_x_32gf convnext_tiny convnext_small convnext_base
    convnext_large vit_b_16 vit_b_32 vit_l_16 vit_l_32 vit_h_14 swin_t swin_s swin_b maxvit_t""".split()

QUIET = {"dropout": 0.0}
AUX = {"dropout": 0.0, "init_weights": False}


def small_maxvit(num_classes):
    return M.maxvit.MaxVit(
        input_size=(64, 64), stem_channels=8, partition_size=2, block_channels=[8, 16, 16, 16], block_layers=[1, 1, 2, 1],
        head_dim=4, stochastic_depth_prob=0.0, num_classes=num_classes,
    )


def small_convnext(num_classes):
    stages = [M.convnext.CNBlockConfig(*widths, layers) for *widths, layers in [(8, 16, 1), (16, 24, 1), (24, 32, 2), (32, None, 1)]]
    return M.ConvNeXt(stages, num_classes=num_classes)


CASES = {
    "resnet18": (M.resnet18, 64),
    "resnet50": (M.resnet50, 64),
    "resnext50_32x4d": (M.resnext50_32x4d, 64),
    "vgg11_bn": (lambda **k: M.vgg11_bn(**QUIET, **k), 32),
    "alexnet": (lambda **k: M.alexnet(**QUIET, **k), 64),
    "squeezenet1_0": (lambda **k: M.squeezenet1_0(**QUIET, **k), 64),
    "squeezenet1_1": (lambda **k: M.squeezenet1_1(**QUIET, **k), 64),
    "densenet121": (M.densenet121, 64),
    "googlenet": (lambda **k: M.googlenet(dropout_aux=0.0, **AUX, **k), 64),
    "inception_v3": (lambda **k: M.inception_v3(aux_logits=False, **AUX, **k), 96),
    "mobilenet_v2": (lambda **k: M.mobilenet_v2(**QUIET, **k), 64),
    "mobilenet_v3_small": (lambda **k: M.mobilenet_v3_small(**QUIET, **k), 64),
    "mobilenet_v3_large": (lambda **k: M.mobilenet_v3_large(**QUIET, **k), 64),
    "shufflenet_v2_x0_5": (M.shufflenet_v2_x0_5, 64),
    "mnasnet0_5": (lambda **k: M.mnasnet0_5(**QUIET, **k), 64),
    "efficientnet_b0": (lambda **k: M.efficientnet_b0(stochastic_depth_prob=0.0, **QUIET, **k), 64),
    "efficientnet_v2_s": (lambda **k: M.efficientnet_v2_s(stochastic_depth_prob=0.0, **QUIET, **k), 64),
    "regnet_y_400mf": (M.regnet_y_400mf, 64),
    "regnet_x_400mf": (M.regnet_x_400mf, 64),
    "convnext": (small_convnext, 64),
    "vit": (
        lambda **k: M.VisionTransformer(
            image_size=32, patch_size=8, num_layers=3, num_heads=3, hidden_dim=24, mlp_dim=40, **k
        ),
        32,
    ),
    "swin": (
        lambda **k: M.SwinTransformer(
            patch_size=[4, 4], embed_dim=12, depths=[2, 2, 2, 1], num_heads=[1, 2, 3, 4], window_size=[3, 3],
            stochastic_depth_prob=0.0, **k
        ),
        60,
    ),
    "maxvit": (small_maxvit, 64),
}


def main():
    # Initial values take minutes and count for nothing here.
    for draw in [name for name in dir(torch.nn.init) if name.endswith("_") and not name.startswith("_")]:
        setattr(torch.nn.init, draw, lambda tensor, *_, **__: tensor)
    extra = {"googlenet": {"init_weights": False}, "inception_v3": {"init_weights": False}}
    path = pathlib.Path(__file__).with_name("networks.json")
    only = sys.argv[1:]
    cases = json.loads(path.read_text())["cases"] if only else {}
    variants = {name: names(getattr(M, name)(**extra.get(name, {}))) for name in VARIANTS}
    for name, (make, side) in CASES.items():
        if not only or name in only:
            cases[name] = case(make, side)
            print(name, {mode: cases[name][mode]["f32"] for mode in ("eval", "train")}, flush=True)
    path.write_text(json.dumps({"variants": variants, "cases": cases}, separators=(",", ":")) + "\n")


main()
