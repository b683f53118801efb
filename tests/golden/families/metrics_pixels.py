"""Metrics of segmentations."""

import numpy as np

SHARES = (1e-6, 1e-7)


def pair(op, form, size=4, shape=(3, 5, 6), present=None):
    """Class numbers, or scores of classes for predictions; only so many classes are there."""
    present = present or size
    target = op.index(shape, present)
    if form == "index":
        preds = np.where(op.rng.random(shape) < 0.6, target, op.index(shape, present))
    else:
        preds = op.uniform((shape[0], size, *shape[1:]))
        preds[:, present:] -= np.float32(9)
    return {"preds": preds, "target": target}


def metrics_segmentation(file):
    op = file.op("metrics.mean_iou", SHARES)
    for form in ("index", "mixed"):
        for background in (True, False):
            for by_class in (True, False):
                attrs = {"num_classes": 4, "include_background": background, "per_class": by_class, "input_format": form}
                op.case(pair(op, form), grad=False, **attrs)
                op.case(pair(op, form, present=2), grad=False, **attrs)
        # Nothing but background: no class is left.
        empty = pair(op, form, present=1)
        op.case(empty, grad=False, num_classes=4, include_background=False, input_format=form)
    op.raises({"preds": op.index((2, 3, 4), 2), "target": op.index((2, 3, 5), 2)}, num_classes=2, input_format="index")

    op = file.op("metrics.dice_score", SHARES)
    for form in ("index", "mixed"):
        for level in ("samplewise", "global"):
            for average in ("micro", "macro", "weighted", "none"):
                for background in (True, False):
                    attrs = {"num_classes": 4, "include_background": background, "average": average}
                    op.case(pair(op, form, present=3), grad=False, input_format=form, aggregation_level=level, **attrs)
            empty = pair(op, form, present=1)
            attrs = {"num_classes": 4, "include_background": False, "average": "macro"}
            op.case(empty, grad=False, input_format=form, aggregation_level=level, **attrs)
    op.raises({"preds": op.index((2, 3, 4), 2), "target": op.index((2, 3, 5), 2)}, num_classes=2, input_format="index")


FAMILIES = [metrics_segmentation]
