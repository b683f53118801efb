"""The same of 16-bit floats, where what is too large for them is infinite though 32 bits could hold it.

What is expected is PyTorch's result in float64, rounded to float16; only what its own float16 agrees with is kept.
"""

import numpy as np

from families.detection import numbered
from families.specials import BINARY, MODERATE, STEEP_AT_ZERO, UNARY, agreed
from families.specials_layers import spoiled_each
from harness import INF, NAN

MAX, SMALLEST, DENORMAL = 65504.0, 6.104e-5, 1e-6
VALUES = [NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0, 0.5, -2.5, MAX, -MAX, 300.0, -300.0, SMALLEST, DENORMAL, -DENORMAL]
# Two roundings to 11 bits in a row, of a result and of what it is computed from; a denormal may count as 0.
TOL = (2.0**-9, SMALLEST)
# Four digits of what is summed up, or rounded at each of several steps.
STEPS = (2.0**-8, 2.0**-8)


def values_for(name):
    values = [v for v in VALUES if name not in MODERATE or not 1e3 < abs(v) < INF]
    return np.float16([v for v in values if name not in STEEP_AT_ZERO or not 0 < abs(v) < SMALLEST])


def halves(op, shape, *, values=(NAN, INF, -INF, -0.0), large=300.0):
    """Random values with one special value in the middle and in the end; and some whose squares are past 65,504."""
    for value in values:
        x = np.float16(op.uniform(shape))
        x.flat[x.size // 2] = x.flat[-1] = value
        yield x
    yield np.float16(op.signed(shape, 0.9 * large, 1.1 * large))


def half_pointwise_specials(file):
    for name in UNARY:
        op = file.op(name, TOL)
        op.case(agreed(op, {"input": values_for(name)}), cotangent=1.0)
    for name in BINARY:
        op = file.op(name, TOL)
        values = values_for(name)
        other = "exponent" if name == "pow" else "other"
        args = {"input": np.repeat(values, len(values)), other: np.tile(values, len(values))}
        op.case(agreed(op, args), cotangent=1.0)
    op = file.op("clamp", TOL)
    for attrs in ({"min": 0.0, "max": 1.0}, {"min": -1.5}):
        op.case({"input": np.float16(VALUES)}, **attrs)
    op = file.op("lerp", TOL)
    op.case({"input": np.float16([1, INF, -INF, NAN, 1]), "end": np.float16([INF, INF, INF, 1, NAN])}, weight=0.25)
    op = file.op("addcmul", TOL)
    args = {"input": [1, INF, NAN, 2, 1], "tensor1": [INF, 0, 1, 3, 300], "tensor2": [0, INF, 1, 2, 300]}
    op.case({name: np.float16(arg) for name, arg in args.items()}, value=2.0)
    op = file.op("prelu", TOL)
    op.case({"input": np.float16([[1, INF], [-INF, NAN], [-0.0, -2]]), "weight": np.float16([0.25, 300])})


def half_reduction_specials(file):
    for name in "sum mean amax amin argmax logsumexp var std prod cumsum softmax softmin log_softmax".split():
        op = file.op(name, STEPS)
        for x in halves(op, (3, 7)):
            op.case({"input": x}, dim=1)
        if name != "logsumexp":  # of which each largest element has PyTorch's whole gradient
            op.case({"input": np.full((2, 5), MAX, np.float16)}, dim=1)
    op = file.op("norm", STEPS)
    for x in halves(op, (3, 7)):
        for p in (1, 2, "inf"):
            op.case({"input": x}, p=p, dim=1)
    op = file.op("pairwise_distance", STEPS)
    for x in halves(op, (3, 7)):
        op.case({"x1": x, "x2": np.float16(op.uniform((3, 7)))})
    for name in ("sort", "max"):
        op = file.op(name, STEPS)
        for x in halves(op, (3, 7)):
            op.case({"input": x}, dim=1)


def half_product_specials(file):
    for name, sizes, attrs in [
        ("matmul", {"input": (5, 7), "other": (7, 3)}, {}),
        ("matmul", {"input": (2, 3, 9), "other": (9, 35)}, {}),
        ("linear", {"input": (4, 7), "weight": (5, 7), "bias": (5,)}, {}),
        ("bmm", {"input": (2, 3, 5), "mat2": (2, 5, 4)}, {}),
        ("addmm", {"input": (3, 5), "mat1": (3, 7), "mat2": (7, 5)}, {}),
        ("outer", {"input": (3,), "vec2": (5,)}, {}),
        ("conv2d", {"input": (2, 3, 5, 7), "weight": (5, 3, 3, 3), "bias": (5,)}, {}),
        ("conv2d", {"input": (1, 5, 5, 7), "weight": (5, 1, 3, 3)}, {"groups": 5}),
        ("conv_transpose2d", {"input": (1, 3, 4, 5), "weight": (3, 2, 3, 3)}, {}),
        ("scaled_dot_product_attention", {"query": (2, 5, 3), "key": (2, 7, 3), "value": (2, 7, 3)}, {}),
    ]:
        op = file.op(name, STEPS)
        args = {key: np.float16(op.uniform(shape)) for key, shape in sizes.items()}
        # An infinite filter makes NaN of more gradients, and results of the transposed, than in PyTorch (see `conv2d`).
        names = list(args)[: 1 if name.startswith("conv") else 2]
        for spoilt in spoiled_each(args, names, (NAN, INF)):
            op.case(spoilt, **attrs)
        # Sums of products past 65,504.
        large = {key: np.float16(op.uniform(shape, 200, 300)) for key, shape in sizes.items()}
        op.case(large, cotangent=1.0, **attrs)


def half_window_specials(file):
    for name, attrs in [
        ("max_pool2d", {"kernel_size": 3, "stride": 2, "padding": 1}),
        ("avg_pool2d", {"kernel_size": 3, "stride": 2, "padding": 1}),
        ("adaptive_avg_pool2d", {"output_size": [3, 2]}),
        ("adaptive_max_pool2d", {"output_size": [3, 2]}),
        ("global_avg_pool", {}),
        ("unfold", {"kernel_size": 3, "padding": 1}),
        ("pad", {"pad": [1, 2, 1, 0], "mode": "reflect"}),
        ("interpolate", {"size": [9, 11], "mode": "nearest"}),
        ("interpolate", {"size": [9, 11], "mode": "bilinear"}),
    ]:
        op = file.op(name, STEPS)
        for x in halves(op, (1, 2, 5, 7), values=(NAN, INF), large=6e4):
            op.case({"input": x}, **attrs)


def half_normalization_specials(file):
    for name, attrs in [
        ("layer_norm", {"normalized_shape": [7]}),
        ("rms_norm", {"normalized_shape": [7], "eps": 1e-6}),
        ("group_norm", {"num_groups": 2}),
        ("batch_norm", {"training": True}),
        ("instance_norm", {}),
        ("normalize", {"dim": 1}),
    ]:
        op = file.op(name, STEPS)
        for x in halves(op, (3, 4, 7)):
            op.case({"input": x}, **attrs)


def half_loss_specials(file):
    shape = (3, 5)
    for name in "mse_loss l1_loss smooth_l1_loss huber_loss kl_div binary_cross_entropy_with_logits".split():
        op = file.op(name, STEPS)
        for x in halves(op, shape):
            target = np.float16(op.uniform(shape, 0.1, 0.9))
            op.case({"input": x, "target": target}, constant=("target",), reduction="none")
            op.case({"input": x, "target": target}, constant=("target",), reduction="mean")
    sides = np.float16([[1, -1, 1, -1, 1]] * 3)
    alike = np.float16([1, -1, 1])
    for name, names, target in [
        ("hinge_embedding_loss", ("input",), sides),
        ("soft_margin_loss", ("input",), sides),
        ("multilabel_soft_margin_loss", ("input",), np.float16(sides > 0)),
        ("margin_ranking_loss", ("input1", "input2"), sides),
        ("cosine_embedding_loss", ("input1", "input2"), alike),
        ("cosine_similarity", ("x1", "x2"), None),
    ]:
        op = file.op(name, STEPS)
        args = {key: np.float16(op.uniform(shape)) for key in names}
        more = {} if target is None else {"target": target}
        attrs = {} if target is None else {"reduction": "none", "constant": ("target",)}
        # Its squares are f16.
        largest = [] if name == "cosine_embedding_loss" else [MAX]
        for spoilt in spoiled_each(args, names, [NAN, INF, -INF, *largest]):
            op.case({**spoilt, **more}, **attrs)
    op = file.op("triplet_margin_loss", STEPS)
    names = ("anchor", "positive", "negative")
    for spoilt in spoiled_each({key: np.float16(op.uniform(shape)) for key in names}, names, (NAN, INF)):
        op.case(spoilt, reduction="none")


def half_class_loss_specials(file):
    rows, classes = 3, 5
    shape = (rows, classes)
    more = (NAN, INF, -INF, -0.0, DENORMAL, MAX)
    for name in ("cross_entropy", "nll_loss"):
        op = file.op(name, STEPS)
        for x in halves(op, shape, values=more):
            target = op.index((rows,), classes)
            for reduction in ("none", "mean", "sum"):
                is_mean = reduction == "mean" and MAX in np.abs(x)
                op.case({"input": x, "target": target}, reduction=reduction, coarse=is_mean)
        # The largest scores, an impossible class, and a class that is left out.
        x = np.float16([[MAX, 0, -MAX, 1, 2], [-INF, 0, 1, MAX, MAX], [-INF, 2, -0.0, 1, DENORMAL]])
        for target in ([0, 3, 1], [2, 0, 0]):
            op.case({"input": x, "target": np.int64(target)}, reduction="none")
        op.case({"input": x, "target": np.int64([0, 0, 1])}, ignore_index=0)
        weight = np.float16([1, 0.5, 2, 0, 300])
        op.case({"input": x, "target": np.int64([1, 1, 4]), "weight": weight}, constant=("weight",), reduction="none")
        # Sums past 65,504: a mean whose sum is stays finite, which PyTorch's does not.
        x = np.float16(op.uniform(shape, -6e4, -5e4))
        target = op.index((rows,), classes)
        op.case({"input": x, "target": target}, reduction="sum")
        op.case({"input": x, "target": target}, reduction="mean", coarse=name == "nll_loss")
    op = file.op("cross_entropy", STEPS)
    for x in halves(op, shape, values=more):
        op.case({"input": x, "target": op.index((rows,), classes)}, label_smoothing=0.1, coarse=MAX in np.abs(x))
        target = np.float16(op.uniform(shape, 0.1, 0.9))
        op.case({"input": x, "target": target}, constant=("target",), reduction="none")


def half_region_specials(file):
    for name, attrs in [
        ("roi_align", {"output_size": 2, "sampling_ratio": 2}),
        ("roi_align", {"output_size": [1, 3], "aligned": True, "sampling_ratio": 1}),
        ("roi_pool", {"output_size": 2}),
    ]:
        op = file.op(name, STEPS)
        for x in halves(op, (2, 2, 5, 7), values=(NAN, INF, -INF, -0.0, DENORMAL, MAX), large=6e4):
            # PyTorch adds up samples in f16.
            coarse = name == "roi_align" and np.nanmax(np.abs(x)) > 3e4
            op.case({"input": x, "boxes": np.float16(numbered(op, 3, 2))}, constant=("boxes",), coarse=coarse, **attrs)
        # Regions far outside, and without an extent.
        x = np.float16(op.uniform((1, 2, 5, 7)))
        boxes = np.float16([[0, 6e4, 2, MAX, 3], [0, 2, 3, 2, 3], [0, -0.0, -0.0, 4, 4]])
        op.case({"input": x, "boxes": boxes}, constant=("boxes",), **attrs)


def half_index_specials(file):
    x = np.float16([[NAN, 1, INF], [-INF, -0.0, 300], [MAX, 2, -MAX]])
    index = np.int64([[0, 2, 1], [2, 0, 0]])
    file.op("gather", STEPS).case({"input": x, "index": index}, dim=1)
    file.op("index_select", STEPS).case({"input": x, "index": np.int64([2, 0])}, dim=0)
    file.op("scatter_add", STEPS).case({"input": x, "index": index, "src": np.float16([[1, INF, MAX]] * 2)}, dim=1)
    file.op("index_add", STEPS).case({"input": x, "index": np.int64([2, 2]), "source": x[1:]}, dim=0)
    file.op("embedding", STEPS).case({"input": np.int64([2, 0, 2]), "weight": x})
    file.op("cat", STEPS).case({"tensors": [x, x[:1]]}, dim=0)
    file.op("where", STEPS).case({"condition": x > 0, "input": x, "other": x[::-1].copy()})
    file.op("masked_fill", STEPS).case({"input": x, "mask": x > 0}, value=300)


def half_recurrence_specials(file):
    for name, gates in [("rnn_tanh", 1), ("rnn_relu", 1), ("lstm", 4), ("gru", 3)]:
        op = file.op(f"{name}_cell", STEPS)
        rows = 2 * gates
        sizes = {"input": (2, 3), "w_ih": (rows, 3), "w_hh": (rows, 2), "b_ih": (rows,), "b_hh": (rows,)}
        args = {key: np.float16(op.uniform(shape)) for key, shape in sizes.items()}
        state = np.float16(op.uniform((2, 2)))
        args["hx"] = [state, np.float16(op.uniform((2, 2)))] if name == "lstm" else state
        for spoilt in spoiled_each(args, ("input", "hx", "w_ih"), (NAN, INF, MAX)):
            op.case(spoilt)
        for spoilt in spoiled_each(args, ("input", "hx", "w_hh", "b_hh"), (-INF, -0.0, DENORMAL, -MAX)):
            op.case(spoilt)

        op = file.op(name, STEPS)
        params = []
        for _ in range(2):
            params += [np.float16(op.uniform(shape)) for shape in ((rows, 3), (rows, 2), (rows,), (rows,))]
        state = np.float16(op.uniform((2, 2, 2)))
        args = {
            "input": np.float16(op.uniform((3, 2, 3))),
            "hx": [state, np.float16(op.uniform((2, 2, 2)))] if name == "lstm" else state,
            "params": params,
        }
        attrs = {"has_biases": True, "num_layers": 1, "dropout": 0.0, "train": False, "batch_first": False}
        for spoilt in spoiled_each(args, ("input", "hx", "params"), (NAN, INF, -INF, -0.0, DENORMAL)):
            op.case(spoilt, bidirectional=True, **attrs)


FAMILIES = [
    half_recurrence_specials,
    half_pointwise_specials,
    half_reduction_specials,
    half_product_specials,
    half_window_specials,
    half_normalization_specials,
    half_loss_specials,
    half_class_loss_specials,
    half_region_specials,
    half_index_specials,
]
