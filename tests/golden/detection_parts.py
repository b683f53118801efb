"""Writes detection_parts.json: what torchvision's parts of detectors make of drawn boxes, in float64.

    python tests/golden/detection_parts.py
"""

import json
import pathlib

import torch
from torchvision.models.detection import _utils as utils
from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import MultiScaleRoIAlign, batched_nms, box_iou


def listed(tensor):
    """Numbers as JSON; what float32 holds stays exact."""
    return tensor.flatten().tolist()


def boxes(count, side, generator):
    """Boxes in float32's precision, within `side`."""
    corner = torch.rand(count, 2, generator=generator) * side * 0.7
    size = 1 + torch.rand(count, 2, generator=generator) * side * 0.3
    return torch.cat([corner, corner + size], 1).float().double()


def anchors(generator, image, grids):
    features = [torch.zeros(1, 1, *grid, dtype=torch.float64) for grid in grids]
    return listed(generator(ImageList(torch.zeros(1, 3, *image), [tuple(image)]), features)[0])


def matches(matcher, quality, counts):
    rows = []
    for quality, count in zip(quality, counts):
        rows += matcher(quality[:count]).tolist() if count else [-1] * quality.shape[1]
    return rows


def transformed(options, shapes, generator):
    """Images, boxes, masks and keypoints through the transform, and boxes back."""
    transform = GeneralizedRCNNTransform(**options)
    images = [torch.rand(3, *shape, generator=generator).float().double() for shape in shapes]
    targets = []
    for shape in shapes:
        target = {"boxes": boxes(2, min(shape), generator), "labels": torch.ones(2, dtype=torch.int64)}
        target["masks"] = (torch.rand(2, *shape, generator=generator) > 0.5).byte()
        points = torch.rand(2, 3, 3, generator=generator) * min(shape)
        target["keypoints"] = points.float().double()
        targets.append(target)
    result = {"shapes": shapes, "images": [listed(image) for image in images]}
    result |= {key: [listed(target[key]) for target in targets] for key in ("boxes", "masks", "keypoints")}
    batch, moved = transform(images, targets)
    result["batch"], result["size"], result["sizes"] = listed(batch.tensors), list(batch.tensors.shape), batch.image_sizes
    result |= {f"moved_{key}": [listed(target[key]) for target in moved] for key in ("boxes", "masks", "keypoints")}
    transform.eval()
    found = [{"boxes": target["boxes"].clone()} for target in targets]
    back = transform.postprocess(found, batch.image_sizes, [tuple(shape) for shape in shapes])
    return result | {"back": [listed(image["boxes"]) for image in back]}


def pooled(sizes, counts, generator):
    """Regions from the level of their size, and the levels' gradients; the second box has exactly the least side of level 1."""
    levels = [torch.randn(len(counts), 3, *size, generator=generator).double() for size in sizes]
    objects = [boxes(count, 60, generator) for count in counts]
    objects[0][1] = torch.tensor([3.0, 5.0, 23.0, 25.0])
    levels = {str(at): level.requires_grad_() for at, level in enumerate(levels)}
    pool = MultiScaleRoIAlign(list(levels), (2, 3), 2, canonical_scale=20, canonical_level=3)
    regions = pool(levels, objects, [(64, 48)] * len(counts))
    cotangent = torch.randn(regions.shape, generator=generator).double()
    regions.backward(cotangent)
    return {
        "sizes": sizes, "counts": counts, "boxes": [listed(image) for image in objects],
        "levels": [listed(level) for level in levels.values()], "regions": listed(regions),
        "cotangent": listed(cotangent), "grads": [listed(level.grad) for level in levels.values()],
    }


def main():
    torch.set_default_dtype(torch.float32)
    generator = torch.Generator().manual_seed(5)
    first, second = boxes(6, 40, generator), boxes(6, 40, generator)
    # One that is over 62.5 times as large as its anchor would be.
    codes = torch.randn(6, 4, generator=generator).double() * torch.tensor([3.0, 3.0, 2.0, 2.0])
    codes[0, 2] = 30.0
    coder, linear = utils.BoxCoder((10.0, 10.0, 5.0, 5.0)), utils.BoxLinearCoder()
    counts = [5, 0, 3]
    objects = [boxes(5, 40, generator) for _ in counts]
    places = boxes(30, 40, generator)
    # Two objects with one best place, and one object that overlaps nothing.
    objects[0][1] = objects[0][0] + 0.25
    places[7] = objects[0][0]
    objects[2][2] = torch.tensor([80.0, 80.0, 84.0, 84.0])
    quality = torch.stack([box_iou(image, places) for image in objects])
    found, scores = boxes(40, 20, generator), torch.rand(40, generator=generator).double()
    labels = torch.randint(0, 3, (40,), generator=generator)
    result = {
        "anchors": anchors(AnchorGenerator(((8, 20), (32,), (50,)), ((0.5, 1.0, 2.0),) * 3), (50, 70), [(4, 6), (2, 3), (1, 1)]),
        "default_boxes": [
            anchors(DefaultBoxGenerator([[2], [2, 3]], scales=[0.07, 0.33, 1.05], steps=[16, 64]), (64, 96), [(4, 6), (1, 2)]),
            anchors(DefaultBoxGenerator([[2, 3], [2], [3]], min_ratio=0.2, max_ratio=0.95), (60, 90), [(4, 6), (2, 3), (1, 1)]),
        ],
        "coder": {
            "boxes": listed(first), "anchors": listed(second), "codes": listed(codes),
            "encoded": listed(coder.encode_single(first, second)), "decoded": listed(coder.decode_single(codes, second)),
            "linear_encoded": listed(linear.encode(second, first)), "linear_decoded": listed(linear.decode(codes, second)),
        },
        "matches": {
            "counts": counts, "quality": listed(quality),
            "plain": matches(utils.Matcher(0.3, 0.1), quality, counts),
            "low": matches(utils.Matcher(0.3, 0.1, allow_low_quality_matches=True), quality, counts),
            "ssd": matches(utils.SSDMatcher(0.3), quality, counts),
        },
        "nms": {
            "boxes": listed(found), "scores": listed(scores), "labels": labels.tolist(),
            "kept": batched_nms(found, scores, labels, 0.3).tolist(),
        },
        "transforms": [
            transformed({"min_size": 12, "max_size": 20, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
                         "size_divisible": 8}, [(9, 13), (10, 6), (6, 18)], generator),
            transformed({"min_size": 8, "max_size": 8, "image_mean": [0.5] * 3, "image_std": [1 / 255] * 3, "size_divisible": 1,
                         "fixed_size": (10, 7)}, [(9, 13), (9, 13)], generator),
        ],
        "pooled": pooled([(16, 12), (8, 6), (4, 3)], [9, 9], generator),
    }
    path = pathlib.Path(__file__).with_name("detection_parts.json")
    path.write_text(json.dumps(result, separators=(",", ":")) + "\n")


main()
