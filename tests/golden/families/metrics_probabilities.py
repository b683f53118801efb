"""Metrics of probabilities: calibration error and log loss."""

import itertools

import numpy as np

from families.metrics_labels import batch, sizes


def metrics_probabilities(file):
    op = file.op("metrics.calibration_error")
    forms = ("probabilities", "logits")
    for task, form, norm in itertools.product(("binary", "multiclass"), forms, ("l1", "l2", "max")):
        for n_bins in (1, 4, 15):
            common = {"task": task, **sizes(task), "norm": norm, "n_bins": n_bins}
            op.case(batch(op, task, form, (30,)), grad=False, **common)
            op.case(batch(op, task, form, (10, 2), ignored=-1), grad=False, **common, ignore_index=-1)
        op.case(batch(op, task, form, (12,), absent=True), grad=False, task=task, **sizes(task), norm=norm)
    # On the bounds of bins.
    for norm in ("l1", "l2", "max"):
        op.case(batch(op, "binary", "ties", (30,)), grad=False, task="binary", n_bins=4, norm=norm)
    op.raises(batch(op, "binary", "logits"), task="binary", n_bins=0)
    op.raises(batch(op, "binary", "logits"), task="binary", norm="l3")
    op.raises(batch(op, "binary", "labels"), error="WrongDType", task="binary")
    op.raises(batch(op, "multilabel", "logits"), task="multilabel", num_labels=4)

    op = file.op("metrics.log_loss")
    for count in (1, 2, 20):
        op.case(batch(op, "binary", "probabilities", (count,)), grad=False, task="binary")
        for size in (3, 5, 8):
            preds = batch(op, "multiclass", "probabilities", (count,), size)
            op.case(preds, grad=False, task="multiclass", num_classes=size)
    # Sure, and right or wrong.
    certain = np.asarray([0, 1, 0, 1, 0.5], np.float32)
    op.case({"preds": certain, "target": np.asarray([0, 1, 1, 0, 1])}, grad=False, task="binary")
    certain = {"preds": np.eye(4, dtype=np.float32), "target": np.asarray([0, 1, 0, 3])}
    op.case(certain, grad=False, task="multiclass", num_classes=4)


FAMILIES = [metrics_probabilities]
