"""Metrics of boxes: torchmetrics', pycocotools itself, and VOC's."""

import numpy as np

# pycocotools counts in float64.
EXACT = (1e-6, 1e-7)


def scene(op, images, classes, size=200, most=6, extra=True, quarters=True):
    """Objects of all sizes, and detections of most of them, with ties of scores and of overlaps."""
    parts = {key: [] for key in ("preds.boxes", "preds.scores", "preds.labels", "target.boxes", "target.labels")}
    flags = []
    for _ in range(images):
        count = int(op.rng.integers(0, most + 1))
        corner = op.rng.uniform(0, size, (count, 2))
        side = op.rng.choice([12, 25, 50, 110, 150], (count, 2)) * op.rng.uniform(0.7, 1.2, (count, 2))
        truth = np.concatenate([corner, corner + side], 1)
        labels = op.rng.integers(0, classes, count)
        kept = op.rng.random(count) < 0.8
        moved = truth[kept] + op.rng.normal(0, 0.06, (kept.sum(), 4)) * np.tile(side[kept], 2)
        found, named = [moved], [np.where(op.rng.random(kept.sum()) < 0.9, labels[kept], op.rng.integers(0, classes, kept.sum()))]
        if extra:
            more = int(op.rng.integers(0, 4))
            corner = op.rng.uniform(0, size, (more, 2))
            found.append(np.concatenate([corner, corner + op.rng.uniform(5, 120, (more, 2))], 1))
            named.append(op.rng.integers(0, classes, more))
            # The same box twice.
            found.append(moved[:1])
            named.append(named[0][:1])
        found, named = np.concatenate(found), np.concatenate(named)
        if quarters:
            truth, found = np.round(truth * 4) / 4, np.round(found * 4) / 4
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
        scores = op.rng.integers(1, 8, len(found)) / 8 if quarters else op.rng.random(len(found))
        parts["preds.boxes"].append(np.asarray(found, np.float32))
        parts["preds.scores"].append(np.asarray(scores, np.float32))
        parts["preds.labels"].append(np.asarray(named, np.int64))
        parts["target.boxes"].append(np.asarray(truth, np.float32))
        parts["target.labels"].append(np.asarray(labels, np.int64))
        flags.append(np.asarray(op.rng.random(count) < 0.3, np.int64))
    return parts, flags


def without(parts, *keys):
    """The same images with nothing of a kind."""
    empty = {"boxes": np.zeros((0, 4), np.float32), "scores": np.zeros(0, np.float32), "labels": np.zeros(0, np.int64)}
    return {k: [empty[k.split(".")[1]]] * len(v) if k.split(".")[0] in keys else v for k, v in parts.items()}


def in_format(parts, name):
    def convert(box):
        x1, y1, x2, y2 = box.T
        columns = {"xywh": (x1, y1, x2 - x1, y2 - y1), "cxcywh": ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)}
        return np.stack(columns[name], 1)

    return {k: [convert(box) for box in v] if k.endswith("boxes") else v for k, v in parts.items()}


def absent(parts, side, label):
    """The same images without a class."""
    keep = [labels != label for labels in parts[f"{side}.labels"]]
    return {k: [t[m] for t, m in zip(v, keep)] if k.startswith(side) else v for k, v in parts.items()}


def all_scenes(op):
    yield scene(op, 6, 3)
    yield scene(op, 8, 5, quarters=False)
    yield scene(op, 4, 1, extra=False)
    parts, flags = scene(op, 5, 3)
    yield without(parts, "preds"), flags
    yield without(parts, "target"), [np.zeros(0, np.int64)] * 5
    yield without(parts, "preds", "target"), [np.zeros(0, np.int64)] * 5
    yield absent(parts, "preds", 1), flags
    keep = [labels != 1 for labels in parts["target.labels"]]
    yield absent(parts, "target", 1), [f[m] for f, m in zip(flags, keep)]
    # More detections of an image than count.
    crowded, flags = scene(op, 2, 1, most=6)
    for image in range(2):
        boxes = op.rng.integers(0, 160, (130, 2))
        more = np.concatenate([boxes, boxes + op.rng.integers(5, 60, (130, 2))], 1).astype(np.float32)
        crowded["preds.boxes"][image] = np.concatenate([more, crowded["preds.boxes"][image]])
        crowded["preds.labels"][image] = np.zeros(len(crowded["preds.boxes"][image]), np.int64)
        crowded["preds.scores"][image] = np.asarray(op.rng.integers(1, 40, len(crowded["preds.boxes"][image])) / 40, np.float32)
    yield crowded, flags


def with_areas(op, parts, flags):
    areas = [np.asarray((b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) * op.rng.choice([0.3, 1.0], len(b)), np.float32) for b in parts["target.boxes"]]
    return parts | {"target.iscrowd": flags, "target.area": areas}


def metrics_precision(file):
    op = file.op("metrics.mean_average_precision", EXACT)
    for parts, flags in all_scenes(op):
        op.case(parts, grad=False)
        op.case(parts, grad=False, average="micro")
        op.case(with_areas(op, parts, flags), grad=False)
    for name in ("xywh", "cxcywh"):
        op.case(in_format(scene(op, 5, 2)[0], name), grad=False, box_format=name)
    parts, _ = scene(op, 5, 2)
    op.case(parts, grad=False, iou_thresholds=[0.3, 0.5, 0.75])
    op.case(parts, grad=False, rec_thresholds=[0.0, 0.25, 0.5, 0.75, 1.0])
    op.case(parts, grad=False, max_detection_thresholds=[2, 5, 100])


def metrics_coco_voc(file):
    op = file.op("metrics.coco_evaluation", EXACT)
    for parts, flags in all_scenes(op):
        op.case(parts, grad=False)
        op.case(with_areas(op, parts, flags), grad=False)

    op = file.op("metrics.voc_average_precision", EXACT)
    for parts, flags in all_scenes(op):
        for attrs in ({}, {"interpolation": "11-point"}, {"iou_threshold": 0.75}):
            op.case(parts | {"target.difficult": flags}, grad=False, **attrs)


FAMILIES = [metrics_precision, metrics_coco_voc]
