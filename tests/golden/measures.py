"""Metrics of numbers, images and boxes by the names of case files: torchmetrics', and others' where theirs lose digits or say less."""

import contextlib
import io

import numpy as np
import sklearn.metrics
import torch
import torchmetrics.functional as functional
import torchmetrics.functional.segmentation as segmentation
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torchmetrics.detection import MeanAveragePrecision


def by_output(score):
    """scikit-learn's scores, whose zeros are exact; torchmetrics takes what is below 1e-4 for 0."""

    def function(preds, target, multioutput="uniform_average", adjusted=0):
        values = score(target.numpy(), preds.numpy(), multioutput=multioutput)
        n = len(target)
        if 0 < adjusted < n - 1:
            values = 1 - (1 - values) * (n - 1) / (n - adjusted - 1)
        return torch.tensor(values, dtype=preds.dtype)

    return function


def ranged(function):
    """A range of data is a tuple in Python."""

    def call(data_range=None, **args):
        data_range = tuple(data_range) if isinstance(data_range, list) else data_range
        betas = {"betas": tuple(args.pop("betas"))} if "betas" in args else {}
        return function(data_range=data_range, **betas, **args)

    return call


def images(args):
    """Boxes, scores, labels by image."""
    parts = {}
    for key, tensors in args.items():
        side, _, part = key.partition(".")
        for image, tensor in enumerate(tensors):
            parts.setdefault(side, {}).setdefault(image, {})[part] = tensor
    return [[parts[side][image] for image in sorted(parts[side])] for side in ("preds", "target")]


KEYS = "map map_50 map_75 map_small map_medium map_large".split()


def mean_average_precision(**args):
    options = {key: args.pop(key) for key in list(args) if "." not in key}
    preds, target = images(args)
    metric = MeanAveragePrecision(**options)
    metric.warn_on_many_detections = False
    metric.update(preds, target)
    result = metric.compute()
    counts = options.get("max_detection_thresholds", [1, 10, 100])
    return [result[key].reshape(()) for key in [*KEYS, *(f"mar_{count}" for count in counts)]]


def xywh(box):
    x1, y1, x2, y2 = box.tolist()
    return [x1, y1, x2 - x1, y2 - y1]


def coco_evaluation(**args):
    """pycocotools itself: its twelve numbers, and precision and recall by class."""
    preds, target = images(args)
    labels = sorted({label for side in (preds, target) for image in side for label in image["labels"].tolist()})
    truths, found = [], []
    for image, truth in enumerate(target):
        for k, box in enumerate(truth["boxes"]):
            area = truth["area"][k].item() if "area" in truth else 0.0
            box = xywh(box)
            crowd = int(truth["iscrowd"][k]) if "iscrowd" in truth else 0
            truths.append(
                {"id": len(truths) + 1, "image_id": image, "category_id": truth["labels"][k].item(), "bbox": box}
                | {"area": area or box[2] * box[3], "iscrowd": crowd}
            )
    for image, pred in enumerate(preds):
        for box, score, label in zip(pred["boxes"], pred["scores"].tolist(), pred["labels"].tolist()):
            found.append({"image_id": image, "category_id": label, "bbox": xywh(box), "score": score})
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        numbered = [{"id": image} for image in range(len(target))]
        coco.dataset = {"images": numbered, "annotations": truths, "categories": [{"id": k} for k in labels], "info": {}}
        coco.createIndex()
        loaded = coco.loadRes(found) if found else COCO()
        evaluation = COCOeval(coco, loaded, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    precision, recall = evaluation.eval["precision"], evaluation.eval["recall"]

    def mean(values):
        return values[values > -1].mean() if (values > -1).any() else -1.0

    classes = [(mean(precision[:, :, k, 0, 2]), mean(recall[:, k, 0, 2])) for k in range(len(labels))]
    return [torch.tensor(numbers, dtype=torch.float32) for numbers in (evaluation.stats, np.array(classes).reshape(-1, 2))]


def voc_average_precision(iou_threshold=0.5, interpolation="area", **args):
    """The formulas of the development kit's VOCevaldet.m and VOCap.m, boxes being edges: the mean, and each class with objects."""
    preds, target = images(args)
    labels = sorted({label for image in target for label in image["labels"].tolist()})
    results = []
    for label in labels:
        objects = [(t["boxes"][t["labels"] == label].double(), t["difficult"][t["labels"] == label]) for t in target]
        count = sum(int((difficult == 0).sum()) for _, difficult in objects)
        if count == 0:
            continue
        found = [
            (score, image, box)
            for image, pred in enumerate(preds)
            for box, score in zip(pred["boxes"][pred["labels"] == label].double(), pred["scores"][pred["labels"] == label].tolist())
        ]
        found = [found[at] for at in np.argsort([-score for score, _, _ in found], kind="mergesort")]
        detected = [np.zeros(len(boxes), bool) for boxes, _ in objects]
        tp, fp = np.zeros(len(found)), np.zeros(len(found))
        for d, (_, image, box) in enumerate(found):
            most, best = -np.inf, None
            for j, truth in enumerate(objects[image][0]):
                iw = min(box[2], truth[2]) - max(box[0], truth[0])
                ih = min(box[3], truth[3]) - max(box[1], truth[1])
                if iw > 0 and ih > 0:
                    union = (box[2] - box[0]) * (box[3] - box[1]) + (truth[2] - truth[0]) * (truth[3] - truth[1]) - iw * ih
                    if iw * ih / union > most:
                        most, best = iw * ih / union, j
            if most >= iou_threshold:
                if not objects[image][1][best]:
                    if not detected[image][best]:
                        tp[d], detected[image][best] = 1, True
                    else:
                        fp[d] = 1
            else:
                fp[d] = 1
        tp, fp = np.cumsum(tp), np.cumsum(fp)
        recall, precision = tp / count, tp / np.maximum(tp + fp, np.finfo(np.float64).eps)
        if interpolation == "11-point":
            ap = sum(max(precision[recall >= t], default=0.0) for t in np.array(range(11)) / 10) / 11
        else:
            recall = np.concatenate([[0.0], recall, [1.0]])
            precision = np.maximum.accumulate(np.concatenate([[0.0], precision, [0.0]])[::-1])[::-1]
            steps = np.where(recall[1:] != recall[:-1])[0]
            ap = np.sum((recall[steps + 1] - recall[steps]) * precision[steps + 1])
        results.append(ap)
    mean = np.mean(results) if results else np.nan
    return [torch.tensor(mean, dtype=torch.float32), torch.tensor(results, dtype=torch.float32)]



OWN = {
    "r2_score": by_output(sklearn.metrics.r2_score),
    "explained_variance": by_output(sklearn.metrics.explained_variance_score),
    "peak_signal_noise_ratio": ranged(functional.peak_signal_noise_ratio),
    "structural_similarity_index_measure": ranged(functional.structural_similarity_index_measure),
    "multiscale_structural_similarity_index_measure": ranged(functional.multiscale_structural_similarity_index_measure),
    "mean_iou": segmentation.mean_iou,
    "dice_score": segmentation.dice_score,
    "mean_average_precision": mean_average_precision,
    "coco_evaluation": coco_evaluation,
    "voc_average_precision": voc_average_precision,
}
