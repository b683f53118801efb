"""Writes detection.json: torchvision's one-stage detectors and a YOLO (`yolo.py`), with names, losses, gradients and detections that
`tests/training/detection.rs` compares.

    python tests/golden/detection.py [NAME...]

computes all cases, or only those of some names and leaves the others as they are. Weights follow from their names
(`from_names.py`), and all is computed in float64. Backbones are small where the detector takes any; those that belong to it
have fewer channels.
"""

import json
import pathlib
import sys
from collections import OrderedDict
from functools import partial

import numpy as np
import torch
from from_names import digest, fill, names, numbers
from torch import nn
from torch.nn import functional
from torchvision.models import detection, mobilenet_v3_large, resnet50, vgg16
from torchvision.models.detection._utils import retrieve_out_channels
from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.models.detection.fcos import FCOS
from torchvision.models.detection.retinanet import RetinaNet, RetinaNetHead
from torchvision.models.detection.ssd import SSD, _vgg_extractor
from torchvision.models.detection.ssdlite import SSDLiteFeatureExtractorMobileNet, SSDLiteHead
from torchvision.ops import FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import LastLevelP6P7
from yolo import YoloV3Tiny

# A mean and a deviation that float32 holds.
EXACT = {"image_mean": [0.5, 0.375, 0.25], "image_std": [0.25, 0.5, 0.125]}


class Tiny(nn.Module):
    """Maps of an eighth and a sixteenth of the size."""

    out_channels = 32

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=4, padding=1)
        self.fine = nn.Conv2d(8, 32, 3, stride=2, padding=1)
        self.coarse = nn.Conv2d(32, 32, 3, stride=2, padding=1)

    def forward(self, x):
        fine = self.fine(self.stem(x).relu())
        return OrderedDict(fine=fine, coarse=self.coarse(fine.relu()))


def retinanet(**options):
    anchors = AnchorGenerator(((12, 16), (24, 32)), ((0.5, 1.0, 2.0),) * 2)
    return RetinaNet(Tiny(), 3, min_size=48, max_size=80, detections_per_img=12, anchor_generator=anchors, **EXACT, **options)


def retinanet_v2():
    head = RetinaNetHead(32, 6, 3, norm_layer=lambda channels: nn.GroupNorm(32, channels))
    head.regression_head._loss_type = "giou"
    return retinanet(head=head)


def fcos():
    anchors = AnchorGenerator(((8,), (16,)), ((1.0,),) * 2)
    return FCOS(Tiny(), 3, min_size=48, max_size=80, detections_per_img=12, anchor_generator=anchors, **EXACT)


def narrow(model, divisor):
    """Divides all numbers of channels."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Conv2d):
                inputs = child.in_channels if child.in_channels == 3 else child.in_channels // divisor
                options = {key: getattr(child, key) for key in ("kernel_size", "stride", "padding", "dilation")}
                setattr(module, name, nn.Conv2d(inputs, child.out_channels // divisor, **options))
    model.scale_weight = nn.Parameter(model.scale_weight[: len(model.scale_weight) // divisor].detach())
    return model


def ssd300():
    backbone = narrow(_vgg_extractor(vgg16(), False, 5), 32)
    boxes = DefaultBoxGenerator(
        [[2], [2, 3], [2, 3], [2, 3], [2], [2]], scales=[0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05], steps=[8, 16, 32, 64, 100, 300]
    )
    options = {"image_mean": [0.48235, 0.45882, 0.40784], "image_std": [1 / 255] * 3}
    return SSD(backbone, boxes, (300, 300), 4, detections_per_img=12, topk_candidates=30, **options)


def ssdlite():
    norm = partial(nn.BatchNorm2d, eps=0.001, momentum=0.03)
    mobilenet = mobilenet_v3_large(norm_layer=norm, reduced_tail=True, width_mult=0.25).features
    stages = [0] + [i for i, b in enumerate(mobilenet) if getattr(b, "_is_cn", False)] + [len(mobilenet) - 1]
    backbone = SSDLiteFeatureExtractorMobileNet(mobilenet, stages[-2], norm, width_mult=0.25)
    boxes = DefaultBoxGenerator([[2, 3] for _ in range(6)], min_ratio=0.2, max_ratio=0.95)
    head = SSDLiteHead(retrieve_out_channels(backbone, (128, 128)), boxes.num_anchors_per_location(), 4, norm)
    options = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "score_thresh": 0.001, "nms_thresh": 0.55}
    return SSD(backbone, boxes, (128, 128), 4, head=head, detections_per_img=12, topk_candidates=30, **options)


def yolo(ciou=False):
    priors = [[6, 10], [12, 8], [20, 24], [34, 26], [30, 60], [56, 50]]
    return YoloV3Tiny(3, width=2, size=(64, 96), priors=priors, ciou=ciou, detections=12)


# Drawings to choose one from.
DRAWS = 24

# Sizes of images, and boxes with labels. None is resized but by a factor of 2, where weights of interpolation are exact.
SHORTER_48 = [(48, 64), (56, 48), (48, 48)]
OBJECTS = [[([5, 6, 23, 20], 1), ([30, 8, 58, 40], 2)], [], [([2, 20, 14, 46], 0), ([20, 4, 40, 17], 1), ([18, 15, 46, 44], 2)]]

# The same, of sizes that become 300 x 300, or 128 x 128.
HALF_300 = [(150, 150), (150, 300), (300, 150)]
OBJECTS_300 = [[([12, 20, 60, 75], 1), ([70, 30, 140, 120], 3)], [], [([10, 100, 60, 260], 2), ([60, 20, 145, 130], 1)]]
HALF_128 = [(64, 64), (64, 128), (128, 64)]
OBJECTS_128 = [[([4, 8, 28, 36], 1), ([24, 16, 60, 56], 3)], [], [([6, 40, 28, 112], 2), ([20, 8, 62, 52], 1)]]
# The same, of sizes that become 64 x 96; the last two objects have one prior in one cell.
HALF_96 = [(32, 48), (64, 48), (32, 96)]
OBJECTS_96 = [
    [([2, 4, 14, 18], 1), ([20, 3, 45, 30], 0)], [], [([5, 6, 25, 12], 2), ([48, 5, 90, 28], 1), ([47, 5, 90, 28], 0)]
]

CASES = {
    "retinanet": (retinanet, SHORTER_48, OBJECTS),
    "retinanet_v2": (retinanet_v2, SHORTER_48, OBJECTS),
    "fcos": (fcos, SHORTER_48, OBJECTS),
    "ssd300": (ssd300, HALF_300, OBJECTS_300),
    "yolo": (yolo, HALF_96, OBJECTS_96),
    "yolo_ciou": (partial(yolo, ciou=True), HALF_96, OBJECTS_96),
    "ssdlite": (ssdlite, HALF_128, OBJECTS_128),
}


def frozen_pyramid():
    backbone = resnet50(norm_layer=FrozenBatchNorm2d)
    return _resnet_fpn_extractor(backbone, 3, returned_layers=[2, 3, 4], extra_blocks=LastLevelP6P7(256, 256))


NONE = {"weights": None, "weights_backbone": None}
VARIANTS = {
    "yolov3_tiny": lambda: YoloV3Tiny(80),
    "retinanet_resnet50_fpn": lambda: RetinaNet(frozen_pyramid(), 91),
    "retinanet_resnet50_fpn of batch norms": lambda: detection.retinanet_resnet50_fpn(**NONE),
    "retinanet_resnet50_fpn_v2": lambda: detection.retinanet_resnet50_fpn_v2(**NONE),
    "fcos_resnet50_fpn": lambda: FCOS(frozen_pyramid(), 91),
    "ssd300_vgg16": lambda: detection.ssd300_vgg16(**NONE),
    "ssdlite320_mobilenet_v3_large": lambda: detection.ssdlite320_mobilenet_v3_large(**NONE),
    "fcos_resnet50_fpn of batch norms": lambda: detection.fcos_resnet50_fpn(**NONE),
}


def image(draw, at, shape):
    unit = 0.5 + 0.5 * numbers(f"image{at} of {draw}", 3 * int(np.prod(shape)))
    return torch.from_numpy(unit.astype(np.float32).astype(np.float64)).reshape(3, *shape)


class Kinks:
    """The least distance of a value from a rectifier's kink while it is open."""

    def __enter__(self):
        self.least, self.functions = float("inf"), (torch.Tensor.relu, functional.relu, functional.hardtanh, functional.relu6, functional.leaky_relu)
        relu = lambda x, inplace=False: self.seen(x, self.functions[0](x), [0])
        torch.Tensor.relu = functional.relu = relu
        functional.hardtanh = lambda x, low, high, inplace=False: self.seen(x, self.functions[2](x, low, high), [low, high])
        functional.relu6 = lambda x, inplace=False: self.seen(x, self.functions[3](x), [0, 6])
        functional.leaky_relu = lambda x, slope, inplace=False: self.seen(x, self.functions[4](x, slope), [0])
        return self

    def __exit__(self, *_):
        torch.Tensor.relu, functional.relu, functional.hardtanh, functional.relu6, functional.leaky_relu = self.functions

    def seen(self, x, y, kinks):
        self.least = min([self.least] + [float((x - kink).abs().min()) for kink in kinks])
        return y


def drawn(model, shapes, targets):
    """The number of the drawing whose values stay clear of kinks, where float32 may go another way, and its images."""
    fill(model)
    best = (-1.0, 0, None)
    for draw in range(DRAWS):
        images = [image(draw, at, shape) for at, shape in enumerate(shapes)]
        model.train()
        with Kinks() as kinks, torch.no_grad():
            model(images, targets)
        best = max(best, (kinks.least, draw, images), key=lambda one: one[0])
        fill(model)
    return best


def run(model, images, targets):
    """Losses, and gradients of their sum."""
    fill(model)
    model.train()
    images = [image.clone().requires_grad_() for image in images]
    losses = model(images, targets)
    model.zero_grad(set_to_none=True)
    sum(losses.values()).backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    gradients |= {f"image{at}": image.grad for at, image in enumerate(images)}
    return {name: loss.item() for name, loss in losses.items()}, gradients


def found(model, images):
    fill(model)
    model.eval()
    with torch.no_grad():
        return [{name: tensor.flatten().tolist() for name, tensor in image.items()} for image in model(images)]


def case(make, shapes, objects):
    torch.manual_seed(0)
    model = make().double()

    def targets(dtype):
        box = lambda image: torch.tensor([corners for corners, _ in image], dtype=dtype).reshape(-1, 4)
        return [{"boxes": box(image), "labels": torch.tensor([label for _, label in image], dtype=torch.int64)} for image in objects]

    kinks, draw, images = drawn(model, shapes, targets(torch.float64))
    losses, gradients = run(model, images, targets(torch.float64))
    digests = {name: digest(name, gradient) for name, gradient in gradients.items()}
    detections = found(model, images)
    single = model.float()
    losses32, gradients32 = run(single, [image.float() for image in images], targets(torch.float32))
    largest = max(norm for norm, _ in digests.values())
    worst = max(
        abs(digest(name, gradients32[name])[1] - product) / max(norm, 1e-3 * largest) for name, (norm, product) in digests.items()
    )
    apart = max(abs(losses32[name] - loss) / abs(loss) for name, loss in losses.items())
    return {
        "shapes": shapes, "draw": draw, "kinks": kinks, "objects": objects, "losses": losses,
        # By name, in the order of names.
        "gradients": [[float(f"{number:.14g}") for number in digests[name]] for name in sorted(digests)],
        "detections": detections,
        "f32": [apart, worst],
    }


def main():
    path = pathlib.Path(__file__).with_name("detection.json")
    only = sys.argv[1:]
    cases = json.loads(path.read_text())["cases"] if only else {}
    for name, arguments in CASES.items():
        if not only or name in only:
            cases[name] = case(*arguments)
            counts = [len(image["labels"]) for image in cases[name]["detections"]]
            print(name, cases[name]["losses"], counts, cases[name]["f32"], cases[name]["kinks"], flush=True)
    # Initial values take minutes and count for nothing here.
    for draw in [name for name in dir(torch.nn.init) if name.endswith("_") and not name.startswith("_")]:
        setattr(torch.nn.init, draw, lambda tensor, *_, **__: tensor)
    variants = {name: names(make()) for name, make in VARIANTS.items()}
    path.write_text(json.dumps({"variants": variants, "cases": cases}, separators=(",", ":")) + "\n")


main()
