"""Writes networks.json: torchvision's networks, with names and values that `tests/zoo` compares.

    python tests/golden/networks.py [NAME...]

computes all cases, or only those of some names and leaves the others as they are.

Weights are numbers that follow from their names (`from_names.py`), so that nothing but results has to be kept. Results are
computed in float64: the logits, the loss, and of each gradient the norm and its product with numbers of the same kind.
`f32` is the largest difference of PyTorch's own float32 results from these, counted as the test counts it.
"""

import json
import pathlib
import sys

import numpy as np
import torch
import torchvision

from from_names import digest, fill, names, numbers

def tensors(outputs):
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    return [output for output in outputs if output is not None]


def run(model, images, labels):
    """Logits, loss and gradients of all trained parameters and of the images."""
    images = images.clone().requires_grad_()
    logits = tensors(model(images))
    loss = sum(torch.nn.functional.cross_entropy(output, labels) for output in logits)
    model.zero_grad(set_to_none=True)
    loss.backward()
    # Auxiliary heads take no part in evaluation.
    gradients = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    gradients["input"] = images.grad
    return [output.detach() for output in logits], loss.item(), gradients


def case(make, side, batch=3, classes=7):
    model = make(num_classes=classes).double()
    fill(model)
    shape = (batch, 3, side, side)
    images = torch.from_numpy(numbers("images", int(np.prod(shape))).astype(np.float32).astype(np.float64)).reshape(shape)
    labels = torch.tensor([(3 * i + 1) % classes for i in range(batch)])
    result = {"side": side, "batch": batch}
    for mode in ("eval", "train"):
        model.train(mode == "train")
        fill(model)
        logits, loss, gradients = run(model, images, labels)
        digests = {name: digest(name, gradient) for name, gradient in gradients.items()}
        fill(model)
        single = model.float()
        logits32, loss32, gradients32 = run(single, images.float(), labels)
        largest = max(norm for norm, _ in digests.values())
        worst = max(
            abs(digest(name, gradients32[name])[1] - product) / max(norm, 1e-3 * largest)
            for name, (norm, product) in digests.items()
        )
        scale = max(float(output.abs().max()) for output in logits)
        apart = max(float((a.double() - b).abs().max()) for a, b in zip(logits32, logits)) / scale
        model.double()
        result[mode] = {
            "logits": [output.flatten().tolist() for output in logits],
            "loss": loss,
            # By name, in the order of names.
            "gradients": [[float(f"{number:.14g}") for number in digests[name]] for name in sorted(digests)],
            "f32": [apart, worst],
        }
    return result


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
