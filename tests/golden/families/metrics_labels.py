"""Metrics of labels: accuracy and its kin, and confusion matrices."""

import itertools

import numpy as np



TASKS = ("binary", "multiclass", "multilabel")
FORMS = ("labels", "probabilities", "logits", "ties")
AVERAGES = ("micro", "macro", "weighted", "none")
RATIOS = ("precision", "recall", "specificity", "f1_score", "fbeta_score", "hamming_distance")
RATIOS += ("negative_predictive_value",)


def batch(op, task, form, shape=(11,), size=4, absent=False, ignored=None):
    """Predictions as labels, probabilities or logits, and targets."""
    high = size - 1 if absent else size
    if task == "multilabel":
        shape = (shape[0], size, *shape[1:])
    if task != "multiclass":
        high = 1 if absent else 2
    target = op.index(shape, high)
    if form == "labels":
        preds = op.index(shape, high)
    elif task == "multiclass":
        shape = (shape[0], size, *shape[1:])
        preds = op.uniform(shape, -3, 3)
        if form == "probabilities":
            preds = np.exp(preds) / np.exp(preds).sum(1, keepdims=True)
        if form == "ties":
            preds = op.whole(shape, 0, 2)
    else:
        low, high = {"probabilities": (0, 1), "logits": (-3, 3), "ties": (0, 1)}[form]
        preds = op.whole(shape, 0, 4) / np.float32(4) if form == "ties" else op.uniform(shape, low, high)
    if ignored is not None:
        target = np.where(op.rng.random(target.shape) < 0.3, ignored, target)
    return {"preds": preds, "target": target}


def sizes(task, size=4):
    return {"binary": {}, "multiclass": {"num_classes": size}, "multilabel": {"num_labels": size}}[task]


def averaged(op, average, **attrs):
    """One average of each task, of labels that are all there, missing or to be ignored."""
    for task in TASKS:
        by = {} if task == "binary" else {"average": average}
        common = {"task": task, **sizes(task), **by, **attrs}
        op.case(batch(op, task, "labels", absent=True), grad=False, **common)
        op.case(batch(op, task, "probabilities", ignored=1), grad=False, **common, ignore_index=1)
        more = {**common, "multidim_average": "samplewise", "ignore_index": -1}
        op.case(batch(op, task, "labels", (3, 5), ignored=-1), grad=False, **more)


def forms(op):
    """Each form of predictions, with ties and without."""
    for task, form in itertools.product(TASKS, FORMS):
        common = {"task": task, **sizes(task), "average": "none"}
        for options in ({}, {"absent": True}, {"ignored": -1}):
            ignored = {"ignore_index": -1} if "ignored" in options else {}
            op.case(batch(op, task, form, **options), grad=False, **common, **ignored)
        more = {**common, "multidim_average": "samplewise"}
        op.case(batch(op, task, form, (3, 2, 2)), grad=False, **more)
        if op.name == "metrics.accuracy":  # of one item, which some tasks squeeze
            op.case(batch(op, task, form, (1, 4)), grad=False, **more)
    for task, threshold in itertools.product(("binary", "multilabel"), (0.0, 0.25, 0.75, 1.0)):
        op.case(batch(op, task, "ties"), grad=False, task=task, **sizes(task), threshold=threshold)


def best(op):
    """Answers among the best k."""
    common = {"task": "multiclass", "num_classes": 4}
    for top_k, average in itertools.product((2, 3, 4), AVERAGES):
        op.case(batch(op, "multiclass", "logits"), grad=False, **common, top_k=top_k, average=average)
    for top_k in (2, 3):
        preds = batch(op, "multiclass", "logits", ignored=-1, absent=True)
        op.case(preds, grad=False, **common, top_k=top_k, average="macro", ignore_index=-1)
        preds = batch(op, "multiclass", "logits", (3, 4))
        op.case(preds, grad=False, **common, top_k=top_k, average="macro", multidim_average="samplewise")


def metrics_accuracy(file):
    for name in ("accuracy", "stat_scores"):
        op = file.op(f"metrics.{name}")
        for average in AVERAGES:
            averaged(op, average)
        forms(op)
    best(file.op("metrics.accuracy"))
    wrong(file.op("metrics.accuracy"))


def metrics_ratios(file):
    for name in RATIOS:
        op = file.op(f"metrics.{name}")
        for average in AVERAGES:
            averaged(op, average, **({"beta": 0.5} if name == "fbeta_score" else {}))
    best(file.op("metrics.f1_score"))
    op = file.op("metrics.fbeta_score")
    op.raises(batch(op, "binary", "labels"), task="binary", beta=-1.0)
    for name, average in itertools.product(("precision", "recall", "f1_score", "negative_predictive_value"), AVERAGES):
        op = file.op(f"metrics.{name}")
        preds = batch(op, "multiclass", "labels", (5,), 6, absent=True)
        op.case(preds, grad=False, task="multiclass", num_classes=6, average=average, zero_division=1)
    for name in ("accuracy", *RATIOS):
        op = file.op(f"metrics.multiclass_{name}")
        beta = {"beta": 2.0} if name == "fbeta_score" else {}
        op.case(batch(op, "multiclass", "labels"), grad=False, num_classes=4, **beta)


def wrong(op):
    """Calls that are errors."""
    classes = {"task": "multiclass", "num_classes": 4}
    op.raises({"preds": op.uniform((4, 3)), "target": op.index(4, 3)}, **classes)
    op.raises({"preds": op.uniform((5, 4)), "target": op.index(4, 3)}, error="Invalid", **classes)
    op.raises({"preds": op.uniform(4, 0, 1), "target": op.index(5, 2)}, error="Invalid", task="binary")
    op.raises({"preds": op.uniform(4, 0, 1), "target": op.index(4, 2) + 3}, error="IndexOutOfRange", task="binary")
    op.raises(batch(op, "binary", "labels"), task="binary", threshold=1.5)
    op.raises(batch(op, "multiclass", "logits"), top_k=5, **classes)
    op.raises(batch(op, "multiclass", "labels"), average="mean", **classes)
    op.raises(batch(op, "multilabel", "labels"), task="multilabel", num_labels=3)
    op.raises(batch(op, "multiclass", "labels"), multidim_average="samplewise", **classes)


def metrics_matrices(file):
    op = file.op("metrics.confusion_matrix")
    for task, form, normalize in itertools.product(TASKS, FORMS, ("none", "true", "pred", "all")):
        op.case(batch(op, task, form, absent=form == "ties"), grad=False, task=task, **sizes(task), normalize=normalize)
    for task, ignored, shape in itertools.product(TASKS, (-1, 1), ((11,), (3, 2, 4))):
        preds = batch(op, task, "logits", shape, ignored=ignored)
        op.case(preds, grad=False, task=task, **sizes(task), ignore_index=ignored)
    op.raises(batch(op, "binary", "labels"), task="binary", normalize="rows")

    op = file.op("metrics.jaccard_index")
    for average in AVERAGES:
        for task, form in itertools.product(TASKS, ("labels", "logits")):
            by = {} if task == "binary" else {"average": average}
            op.case(batch(op, task, form, absent=form == "labels"), grad=False, task=task, **sizes(task), **by)
            common = {"task": task, **sizes(task), **by}
            op.case(batch(op, task, form, ignored=-1), grad=False, **common, ignore_index=-1)
        common = {"task": "multiclass", "num_classes": 4, "average": average}
        op.case(batch(op, "multiclass", "logits", ignored=2), grad=False, **common, ignore_index=2)
        preds = batch(op, "multiclass", "labels", (5,), 6, absent=True)
        op.case(preds, grad=False, **{**common, "num_classes": 6}, zero_division=1)

    for name in ("cohen_kappa", "matthews_corrcoef"):
        op = file.op(f"metrics.{name}", (2e-5, 2e-6))
        for weights in ("none", "linear", "quadratic") if name == "cohen_kappa" else (None,):
            more = {"weights": weights} if weights else {}
            for task, form in itertools.product(TASKS[: 2 if weights else 3], FORMS):
                op.case(batch(op, task, form, (40,)), grad=False, task=task, **sizes(task), **more)
                common = {"task": task, **sizes(task), **more}
                op.case(batch(op, task, form, (40,), ignored=-1), grad=False, **common, ignore_index=-1)
    # Every way in which a row or a column of two classes is empty.
    for counts in itertools.product((0, 3), repeat=4):
        pairs = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], counts, 0).astype(np.int64)
        if len(pairs):
            op.case({"target": pairs[:, 0], "preds": pairs[:, 1]}, grad=False, task="binary")
            op.case({"target": pairs[:, 0], "preds": pairs[:, 1]}, grad=False, task="multiclass", num_classes=2)
    op.case({"target": np.full(5, 1), "preds": np.full(5, 1)}, grad=False, task="multiclass", num_classes=3)
    kappa = file.op("metrics.cohen_kappa")
    kappa.case({"target": np.full(5, 1), "preds": np.full(5, 1)}, grad=False, task="multiclass", num_classes=3)

    op = file.op("metrics.balanced_accuracy_score")
    for count, absent in itertools.product((1, 5, 30), (False, True)):
        for size in (2, 3, 6, 9):
            preds, target = op.index(count, size - absent), op.index(count, size - absent)
            op.case({"preds": preds, "target": target}, grad=False, task="multiclass", num_classes=size)


def metrics_exact_match(file):
    op = file.op("metrics.exact_match")
    for task, form in itertools.product(TASKS[1:], FORMS):
        common = {"task": task, **sizes(task, 2)}
        for average in ("global", "samplewise"):
            more = {**common, "multidim_average": average}
            op.case(batch(op, task, form, (7, 2), 2), grad=False, **more)
            op.case(batch(op, task, form, (7, 3), 2, ignored=-1), grad=False, **more, ignore_index=-1)
            op.case(batch(op, task, form, (3, 2, 2), 2, absent=True), grad=False, **more)
        op.case(batch(op, task, form, (9,), 2), grad=False, **common)
        op.case(batch(op, task, form, (9, 2), 2, ignored=1), grad=False, **common, ignore_index=1)
    op.raises(batch(op, "multiclass", "labels"), task="binary")
    op.raises(batch(op, "multiclass", "labels"), task="multiclass", num_classes=4, multidim_average="samplewise")


FAMILIES = [metrics_exact_match, metrics_accuracy, metrics_ratios, metrics_matrices]
