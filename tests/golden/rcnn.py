"""Writes rcnn.json: torchvision's two-stage detectors, which `tests/training/rcnn.rs` compares.

    python tests/golden/rcnn.py

Names and shapes are those of all constructors. Values, in float64, are those of small networks: the losses of two images, of which
one has no objects, with samples so large that nothing is drawn; the gradients of the images and of all parameters, as in
`networks.json`; and the detections. `f32` is the largest difference of PyTorch's own float32 results, counted as the test counts it.
"""

import json
import pathlib

import numpy as np
import torch
import torchvision
from from_names import digest, fill, names, numbers
from torch import nn
from torchvision.models.detection import FasterRCNN, KeypointRCNN, MaskRCNN
from torchvision.models.detection import faster_rcnn as F
from torchvision.models.detection import keypoint_rcnn as K
from torchvision.models.detection import mask_rcnn as M
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.mobilenetv3 import MobileNetV3, _mobilenet_v3_conf
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

CLASSES, CHANNELS, POINTS, SIZE = 4, 8, 3, (32, 40)
VARIANTS = """fasterrcnn_resnet50_fpn fasterrcnn_resnet50_fpn_v2 fasterrcnn_mobilenet_v3_large_fpn fasterrcnn_mobilenet_v3_large_320_fpn
    maskrcnn_resnet50_fpn maskrcnn_resnet50_fpn_v2 keypointrcnn_resnet50_fpn""".split()


def number(name, shape):
    values = numbers(name, int(np.prod(shape))).astype(np.float32).astype(np.float64)
    return torch.from_numpy(values).reshape(shape)


def backbone():
    setting, last = _mobilenet_v3_conf("mobilenet_v3_small", width_mult=0.25)
    features = MobileNetV3(setting, last, norm_layer=FrozenBatchNorm2d).features
    stages = [1, 2, 4, 12]
    layers = {str(stage): str(i) for i, stage in enumerate(stages)}
    channels = [features[stage].out_channels for stage in stages]
    return BackboneWithFPN(features, layers, channels, CHANNELS, LastLevelMaxPool())


def pool(size):
    return MultiScaleRoIAlign(["0", "1", "2", "3"], size, 2, canonical_scale=40)


def common():
    sizes = tuple((size,) for size in (8, 14, 24, 40, 64))
    return dict(
        min_size=64, max_size=90, rpn_anchor_generator=F.AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * 5),
        rpn_pre_nms_top_n_train=50, rpn_pre_nms_top_n_test=40, rpn_post_nms_top_n_train=40, rpn_post_nms_top_n_test=30,
        rpn_batch_size_per_image=100000, box_batch_size_per_image=100000, box_detections_per_img=12, box_roi_pool=pool(5),
        box_predictor=F.FastRCNNPredictor(16, CLASSES), rpn_fg_iou_thresh=0.5, box_fg_iou_thresh=0.4, box_bg_iou_thresh=0.3,
    )


def small(kind):
    mlp = F.TwoMLPHead(CHANNELS * 25, 16)
    if kind == "faster":
        return FasterRCNN(backbone(), box_head=mlp, **common())
    if kind == "mask":
        return MaskRCNN(
            backbone(), box_head=mlp, mask_roi_pool=pool(4), mask_head=M.MaskRCNNHeads(CHANNELS, (6, 6), 1),
            mask_predictor=M.MaskRCNNPredictor(6, 5, CLASSES), **common()
        )
    if kind == "mask_normed":
        convolutions = F.FastRCNNConvFCHead((CHANNELS, 5, 5), [6, 6], [16], norm_layer=nn.BatchNorm2d)
        return MaskRCNN(
            backbone(), box_head=convolutions, mask_roi_pool=pool(4),
            mask_head=M.MaskRCNNHeads(CHANNELS, (6, 6), 1, norm_layer=nn.BatchNorm2d),
            mask_predictor=M.MaskRCNNPredictor(6, 5, CLASSES), rpn_head=F.RPNHead(CHANNELS, 3, conv_depth=2), **common()
        )
    return KeypointRCNN(
        backbone(), box_head=mlp, keypoint_roi_pool=pool(4), keypoint_head=K.KeypointRCNNHeads(CHANNELS, (6, 6)),
        keypoint_predictor=K.KeypointRCNNPredictor(6, POINTS), **common()
    )


def targets():
    boxes = torch.tensor([[2.0, 4.0, 16.0, 20.0], [13.0, 7.0, 39.0, 30.0], [20.0, 1.0, 27.0, 9.0]])
    labels = torch.tensor([1, 3, 2])
    y, x = torch.meshgrid(torch.arange(SIZE[0]) + 0.5, torch.arange(SIZE[1]) + 0.5, indexing="ij")
    masks = []
    for x1, y1, x2, y2 in boxes.tolist():
        masks.append((((2 * x - x1 - x2) / (x2 - x1)) ** 2 + ((2 * y - y1 - y2) / (y2 - y1)) ** 2 <= 1).to(torch.uint8))
    # A point in the middle, one at the far corner, and one that lies outside or can't be seen.
    points = [[[(x1 + x2) / 2, (y1 + y2) / 2, 1], [x2, y2, 1], [x1 - 1, y1, 1] if i else [x1, y1, 0]] for i, (x1, y1, x2, y2) in enumerate(boxes.tolist())]
    full = {"boxes": boxes.double(), "labels": labels, "masks": torch.stack(masks), "keypoints": torch.tensor(points)}
    none = {
        "boxes": torch.zeros(0, 4).double(), "labels": torch.zeros(0, dtype=torch.int64),
        "masks": torch.zeros(0, *SIZE, dtype=torch.uint8), "keypoints": torch.zeros(0, POINTS, 3),
    }
    return [full, none]


def run(model, precision):
    model.to(precision)
    fill(model)
    images = (number("images", (2, 3, *SIZE)) * 0.5 + 0.5).float().to(precision).requires_grad_()
    truth = [{key: value.to(precision) if key == "boxes" else value for key, value in target.items()} for target in targets()]
    model.train().zero_grad(set_to_none=True)
    losses = model(list(images), truth)
    sum(losses.values()).backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()} | {"input": images.grad}
    fill(model)
    model.eval()
    with torch.no_grad():
        found = model(list(images))
    return {name: loss.item() for name, loss in losses.items()}, gradients, found


def shorten(values):
    return [float(f"{value:.14g}") for value in values]


def case(kind):
    model = small(kind)
    losses, gradients, found = run(model, torch.float64)
    digests = {name: digest(name, gradient) for name, gradient in gradients.items()}
    losses32, gradients32, found32 = run(model, torch.float32)
    largest = max(norm for norm, _ in digests.values())
    of_gradients = max(
        abs(digest(name, gradients32[name])[1] - product) / max(norm, 1e-3 * largest) for name, (norm, product) in digests.items()
    )
    of_losses = max(abs(losses32[name] - loss) / loss for name, loss in losses.items())
    alike = [len(a["boxes"]) == len(b["boxes"]) and bool((a["labels"] == b["labels"]).all()) for a, b in zip(found, found32)]
    print(kind, losses, f"float32: {of_losses:.1e} {of_gradients:.1e}", alike, [len(image["boxes"]) for image in found])
    result = {
        "losses": losses, "gradients": [shorten(digests[name]) for name in sorted(digests)], "f32": [of_losses, of_gradients],
        "detections": [
            {"boxes": shorten(image["boxes"].flatten().tolist()), "scores": shorten(image["scores"].tolist()), "labels": image["labels"].tolist()}
            for image in found
        ],
    }
    for image, detections in zip(found, result["detections"]):
        if "masks" in image:
            detections["masks"] = [digest(f"mask{i}", mask) for i, mask in enumerate(image["masks"])]
        if "keypoints" in image:
            detections["keypoints"] = shorten(image["keypoints"].flatten().tolist())
            detections["keypoints_scores"] = shorten(image["keypoints_scores"].flatten().tolist())
    return result


def main():
    # Initial values take minutes and count for nothing here.
    for draw in [name for name in dir(torch.nn.init) if name.endswith("_") and not name.startswith("_")]:
        setattr(torch.nn.init, draw, lambda tensor, *_, **__: tensor)
    # torchvision's labels are float32, and so would be a part of this loss.
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    torch.nn.functional.binary_cross_entropy_with_logits = lambda logits, labels: entropy(logits, labels.to(logits.dtype))
    make = lambda name: getattr(torchvision.models.detection, name)(weights=None, weights_backbone=None)
    result = {
        "variants": {name: names(make(name)) for name in VARIANTS},
        "cases": {kind: case(kind) for kind in ("faster", "mask", "mask_normed", "keypoint")},
    }
    path = pathlib.Path(__file__).with_name("rcnn.json")
    path.write_text(json.dumps(result, separators=(",", ":")) + "\n")


main()
