"""Metrics of rankings: ROC and precision-recall curves, and the areas below them."""

import itertools

import numpy as np

from families import metrics_labels
from families.metrics_labels import TASKS, sizes

LIST = [0.0, 0.125, 0.5, 0.75, 1.0]
FORMS = ("probabilities", "logits", "ties")


def batch(op, task, form, *args, **options):
    """As that of labels; ties are of probabilities, which no rounding on the way parts or joins."""
    made = metrics_labels.batch(op, task, form, *args, **options)
    if form == "ties":
        made["preds"] = op.whole(made["preds"].shape, 0, 4) / np.float32(4)
    return made


def curves(file, name):
    op = file.op(f"metrics.{name}")
    for task, form in itertools.product(TASKS, FORMS):
        common = {"task": task, **sizes(task, 3)}
        for thresholds in (None, 5, LIST):
            more = {} if thresholds is None else {"thresholds": thresholds}
            op.case(batch(op, task, form, (8,), 3), grad=False, **common, **more)
            op.case(batch(op, task, form, (8,), 3, absent=True), grad=False, **common, **more)
            if form == "logits":
                preds = batch(op, task, form, (4, 2), 3, ignored=-1)
                op.case(preds, grad=False, **common, **more, ignore_index=-1)
    for average, thresholds in itertools.product(("micro", "macro"), (None, 5, LIST)):
        more = {"average": average} if thresholds is None else {"average": average, "thresholds": thresholds}
        op.case(batch(op, "multiclass", "logits", (8,), 3), grad=False, task="multiclass", num_classes=3, **more)
    op.case(batch(op, "multiclass", "logits", (8,), 3), grad=False, task="multiclass", num_classes=3, thresholds=100)
    op.raises(batch(op, "binary", "labels"), error="WrongDType", task="binary")
    op.raises(batch(op, "binary", "logits"), task="binary", thresholds=1)
    op.raises(batch(op, "binary", "logits"), task="binary", thresholds=[0.5, 1.5])
    op.raises(batch(op, "multiclass", "labels"), task="multiclass", num_classes=4)


def metrics_roc(file):
    curves(file, "roc")


def metrics_precision_recall(file):
    curves(file, "precision_recall_curve")


def areas(op):
    for task, form, average in itertools.product(TASKS, FORMS, ("micro", "macro", "weighted", "none")):
        if task != "multilabel" and average == "micro":
            continue
        common = {"task": task, **sizes(task), "average": average}
        for options in ({}, {"absent": True}, {"ignored": -1}):
            ignored = {"ignore_index": -1} if "ignored" in options else {}
            op.case(batch(op, task, form, (20,), **options), grad=False, **common, **ignored)
        if form != "probabilities":
            for thresholds, absent in itertools.product((7, LIST), (False, True)):
                preds = batch(op, task, form, (20,), absent=absent)
                op.case(preds, grad=False, **common, thresholds=thresholds)
    # One class only, the first or another one.
    for only, average in itertools.product((0, 1), ("macro", "weighted", "none")):
        preds = {"preds": op.uniform((6, 3)), "target": np.full(6, only)}
        op.case(preds, grad=False, task="multiclass", num_classes=3, average=average)
        preds = {"preds": op.uniform((6, 3)), "target": np.full((6, 3), only)}
        op.case(preds, grad=False, task="multilabel", num_labels=3, average=average)
    for only in (0, 1):
        op.case({"preds": op.uniform(6), "target": np.full(6, only)}, grad=False, task="binary")
    preds = {"preds": op.uniform((4, 3)), "target": np.arange(4)}
    op.raises(preds, error="IndexOutOfRange", task="multiclass", num_classes=3)


def metrics_average_precision(file):
    areas(file.op("metrics.average_precision"))


def metrics_auroc(file):
    areas(file.op("metrics.auroc"))
    op = file.op("metrics.auroc")
    for max_fpr, form, count in itertools.product((0.05, 0.1, 0.3, 0.5, 0.9, 1.0), ("logits", "ties"), (12, 40)):
        op.case(batch(op, "binary", form, (count,)), grad=False, task="binary", max_fpr=max_fpr)


FAMILIES = [metrics_roc, metrics_precision_recall, metrics_average_precision, metrics_auroc]
