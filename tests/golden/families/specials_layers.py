"""Infinities, NaN, zeros of either sign and the largest floats in recurrence, ctc, margins and regions."""

import numpy as np

from families.detection import numbered
from families.specials import DENORMAL, MAX, TOL
from harness import INF, NAN

SPECIAL = (NAN, INF, -INF, -0.0, MAX)
SQUARED = (NAN, INF, -INF, -0.0, 1e18)  # whose square is finite


def spoiled_each(args, names, values=SPECIAL):
    """The arguments with the last element of one of them, or of its first tensor, replaced by a special value."""
    for name in names:
        for value in values:
            is_list = isinstance(args[name], list)
            spoilt = (args[name][0] if is_list else args[name]).copy()
            spoilt.flat[-1] = value
            yield {**args, name: [spoilt, *args[name][1:]] if is_list else spoilt}


def recurrence_specials(file):
    batch, inputs, hidden = 2, 3, 2
    for name, gates in [("rnn_tanh", 1), ("rnn_relu", 1), ("lstm", 4), ("gru", 3)]:
        op = file.op(f"{name}_cell", TOL)
        state = op.uniform((batch, hidden))
        args = {
            "input": op.uniform((batch, inputs)),
            "hx": [state, op.uniform((batch, hidden))] if name == "lstm" else state,
            "w_ih": op.uniform((gates * hidden, inputs)),
            "w_hh": op.uniform((gates * hidden, hidden)),
            "b_ih": op.uniform((gates * hidden,)),
            "b_hh": op.uniform((gates * hidden,)),
        }
        for spoilt in spoiled_each(args, ("input", "hx", "w_ih", "b_hh")):
            op.case(spoilt)
        if name == "lstm":
            for value in SPECIAL:
                cell = args["hx"][1].copy()
                cell.flat[-1] = value
                op.case({**args, "hx": [state, cell]})

        op = file.op(name, TOL)
        state = op.uniform((2, batch, hidden))
        params = []
        for _ in range(2):
            params += [op.uniform((gates * hidden, inputs)), op.uniform((gates * hidden, hidden))]
            params += [op.uniform((gates * hidden,)) for _ in range(2)]
        args = {
            "input": op.uniform((3, batch, inputs)),
            "hx": [state, op.uniform((2, batch, hidden))] if name == "lstm" else state,
            "params": params,
        }
        attrs = {"has_biases": True, "num_layers": 1, "dropout": 0.0, "train": False, "batch_first": False}
        for spoilt in spoiled_each(args, ("input", "hx", "params"), (NAN, INF)):
            op.case(spoilt, bidirectional=True, **attrs)


def ctc_specials(file):
    op = file.op("ctc_loss", TOL)
    time, batch, classes = 5, 3, 3
    lengths = {"input_lengths": np.int64([5, 4, 5]), "target_lengths": np.int64([2, 1, 0])}
    targets = np.int64([[1, 2], [2, 1], [1, 1]])
    for value in (NAN, INF, -INF, -0.0, -MAX, -1e20, -DENORMAL):
        # Of a class that is a label, of the blank, and of a class that no path takes; past the end.
        for place in [(1, 0, 2), (2, 1, 0), (3, 2, 1), (4, 1, 1)]:
            x = op.uniform((time, batch, classes), -3, -0.5)
            x[place] = value
            for attrs in ({"reduction": "none"}, {"reduction": "mean", "zero_infinity": True}):
                op.case({"log_probs": x, "targets": targets, **lengths}, **attrs)
    # Nothing can be said at one time, and no path is possible.
    x = op.uniform((time, batch, classes), -3, -0.5)
    x[2] = -INF
    for zero_infinity in (False, True):
        op.case({"log_probs": x, "targets": targets, **lengths}, reduction="none", zero_infinity=zero_infinity)


def margin_specials(file):
    rows, classes = 3, 5

    def scored(name, target, names=("input",), values=SPECIAL, **attrs):
        op = file.op(name, TOL)
        args = {other: op.uniform((rows, classes)) for other in names} | {"target": target}
        for spoilt in spoiled_each(args, names, values):
            op.case(spoilt, constant=("target",), reduction="none", **attrs)
        op.case(next(spoiled_each(args, names, (-INF,))), constant=("target",), reduction="mean", **attrs)

    sides = np.float32(np.where(np.arange(rows * classes).reshape(rows, classes) % 2, 1, -1))
    classed = np.int64([1, 0, 4])
    listed = np.int64([[1, 2, -1, 0, 0], [-1, 1, 1, 1, 1], [4, 0, -1, 1, 1]])
    scored("hinge_embedding_loss", sides)
    scored("hinge_embedding_loss", -sides)
    scored("soft_margin_loss", -sides)
    scored("margin_ranking_loss", sides, ("input1", "input2"))
    for signs in ([1, -1, 1], [-1, 1, -1]):
        scored("cosine_embedding_loss", np.float32(signs), ("input1", "input2"), SQUARED)
    for p in (1, 2):
        scored("multi_margin_loss", classed, p=p)
    scored("multi_margin_loss", classed[::-1].copy())
    scored("multilabel_margin_loss", listed)
    scored("multilabel_soft_margin_loss", np.float32(sides > 0))
    scored("multilabel_soft_margin_loss", np.float32(sides < 0))

    for name in ("triplet_margin_loss", "triplet_margin_with_distance_loss"):
        op = file.op(name, TOL)
        names = ("anchor", "positive", "negative")
        for swap in (False, True):
            args = {other: op.uniform((rows, classes)) for other in names}
            for spoilt in spoiled_each(args, names, SQUARED[:-1]):  # beside which no margin counts
                op.case(spoilt, swap=swap, reduction="none")
    for name in ("pairwise_distance", "cosine_similarity"):
        op = file.op(name, TOL)
        args = {"x1": op.uniform((rows, classes)), "x2": op.uniform((rows, classes))}
        for spoilt in spoiled_each(args, args, SQUARED):
            op.case(spoilt)


def region_specials(file):
    for name, attrs in [
        ("roi_align", {"output_size": 2, "sampling_ratio": 2}),
        ("roi_align", {"output_size": [1, 3], "aligned": True, "sampling_ratio": 1}),
        ("roi_pool", {"output_size": 2}),
    ]:
        op = file.op(name, TOL)
        for value in SPECIAL:
            x = op.uniform((2, 2, 5, 7))
            x.flat[17] = x.flat[-1] = value
            op.case({"input": x, "boxes": numbered(op, 3, 2)}, constant=("boxes",), **attrs)
        # Regions far outside, and without an extent.
        x = op.uniform((1, 2, 5, 7))
        boxes = [[0, 1e6, 2, 1e7, 3], [0, 2, 3, 2, 3], [0, -0.0, -0.0, 4, 4]]
        if name == "roi_align":  # PyTorch's roi_pool has 32-bit integers for coordinates
            boxes.append([0, -1e20, -1e20, -1e19, -1e19])
        op.case({"input": x, "boxes": np.float32(boxes)}, constant=("boxes",), **attrs)


FAMILIES = [recurrence_specials, ctc_specials, margin_specials, region_specials]
