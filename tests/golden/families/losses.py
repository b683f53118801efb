"""Losses."""

import numpy as np

from harness import STEEP


def losses(file):
    op = file.op("cross_entropy", (1e-5, 2e-6))  # a log-softmax and a short sum

    def labels(shape, target_shape, weight=False, ignored=0, ignore_index=-100):
        """Arguments with class indices, the first `ignored` of which are set to `ignore_index`."""
        classes = shape[1] if len(shape) > 1 else shape[0]
        target = op.index(target_shape, classes)
        target.reshape(-1)[:ignored] = ignore_index
        args = {"input": op.uniform(shape, -3, 3), "target": target}
        return args | ({"weight": op.uniform((classes,), 0.2, 2)} if weight else {})

    def probabilities(shape, weight=False):
        args = labels(shape, (), weight)
        target = op.uniform(shape, 0.1, 1)
        return args | {"target": target / target.sum(1 if len(shape) > 1 else 0, keepdims=True)}

    def case(args, **attrs):
        op.case(args, constant=("weight",), **attrs)

    for reduction in ("mean", "sum", "none"):
        case(labels((4, 5), (4,)), reduction=reduction)
        case(labels((4, 5), (4,), weight=True), reduction=reduction)
        case(labels((6, 5), (6,), ignored=2), reduction=reduction)
        case(labels((6, 5), (6,), weight=True, ignored=2, ignore_index=3), ignore_index=3, reduction=reduction)
        case(labels((4, 5), (4,)), label_smoothing=0.1, reduction=reduction)
        case(
            labels((6, 5), (6,), weight=True, ignored=2, ignore_index=1),
            ignore_index=1,
            label_smoothing=0.2,
            reduction=reduction,
        )
        case(labels((5,), ()), reduction=reduction)
        case(labels((5,), (), weight=True), label_smoothing=0.1, reduction=reduction)
        case(labels((2, 5, 3, 4), (2, 3, 4)), reduction=reduction)
        case(
            labels((2, 5, 3, 4), (2, 3, 4), weight=True, ignored=5, ignore_index=-1),
            ignore_index=-1,
            label_smoothing=0.3,
            reduction=reduction,
        )
        case(labels((3, 4, 7), (3, 7), weight=True), reduction=reduction)
        case(probabilities((4, 5)), reduction=reduction)
        case(probabilities((4, 5), weight=True), label_smoothing=0.1, reduction=reduction)
        case(probabilities((5,)), reduction=reduction)
        case(probabilities((2, 5, 3, 4), weight=True), reduction=reduction)
    case(labels((4, 5), (4,)))
    case(labels((4, 1), (4,)))  # one class: loss 0
    case(labels((33, 10), (33,)), label_smoothing=0.0, ignore_index=-100)
    case(labels((4, 5), (4,)), label_smoothing=1.0)
    case({"input": np.float32([[1e4, 0, -1e4], [1e4, 9999, 0]]), "target": np.int64([1, 0])}, reduction="none")
    case(labels((0, 5), (0,)), reduction="sum")
    case(labels((0, 5), (0,)), reduction="none")
    case(labels((3, 5), (3,), ignored=3), reduction="sum")
    case(labels((3, 5), (3,), ignored=3), reduction="none")
    case(labels((3, 5), (3,), ignored=3))  # all ignored: NaN, with gradient 0
    case(labels((0, 5), (0,)))  # NaN

    op.raises(labels((4, 5), (3,)))  # batches
    op.raises(labels((2, 5, 3, 4), (2, 4, 3)))
    op.raises(labels((2, 5, 3, 4), (2,)))
    op.raises(labels((4, 5), ()))
    op.raises(labels((5,), (2,)))
    op.raises(labels((4, 5), (4,)) | {"weight": op.uniform((4,), 0.2, 2)})
    op.raises(labels((4, 5), (4,)), reduction="average")
    op.raises(labels((4, 5), (4,)), label_smoothing=1.5)
    op.raises({"input": op.uniform((4, 5)), "target": op.uniform((4, 4), 0, 1)})
    op.raises({"input": op.uniform((4, 5)), "target": op.uniform((4,), 0, 1)})
    op.raises(probabilities((4, 5)), ignore_index=2)


REDUCTIONS = ("mean", "sum", "none")


def losses_nll(file):
    op = file.op("nll_loss", (1e-5, 2e-6))

    def args(shape, target_shape, weight=False, ignored=0, ignore_index=-100):
        classes = shape[1] if len(shape) > 1 else shape[0]
        target = op.index(target_shape, classes)
        target.reshape(-1)[:ignored] = ignore_index
        args = {"input": op.uniform(shape, -3, 0), "target": target}
        return args | ({"weight": op.uniform((classes,), 0.2, 2)} if weight else {})

    for reduction in REDUCTIONS:
        for arguments, attrs in [
            (args((4, 5), (4,)), {}),
            (args((4, 5), (4,), weight=True), {}),
            (args((6, 5), (6,), ignored=2), {}),
            (args((6, 5), (6,), weight=True, ignored=2, ignore_index=3), {"ignore_index": 3}),
            (args((5,), ()), {}),
            (args((5,), (), weight=True), {}),
            (args((2, 5, 3, 4), (2, 3, 4)), {}),
            (args((3, 4, 7), (3, 7), weight=True, ignored=5, ignore_index=-1), {"ignore_index": -1}),
        ]:
            op.case(arguments, constant=("weight",), reduction=reduction, **attrs)
    op.case(args((4, 5), (4,)))
    op.case(args((0, 5), (0,)), reduction="sum")
    op.case(args((3, 5), (3,), ignored=3))  # all ignored: NaN
    op.raises(args((4, 5), (3,)))
    op.raises(args((2, 5, 3, 4), (2, 4, 3)))
    op.raises(args((4, 5), (4,)) | {"weight": op.uniform((4,), 0.2, 2)})
    op.raises(args((4, 5), (4,)), reduction="average")


def losses_regression(file):
    bends = {"smooth_l1_loss": "beta", "huber_loss": "delta"}
    for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
        op = file.op(name, (1e-5, 5e-6))

        def args(a, b, weight=False, op=op):
            args = {"input": op.uniform(a, -2, 2), "target": op.uniform(b, -2, 2)}
            return args | ({"weight": op.uniform(a, 0.2, 2)} if weight else {})

        options = [{}] + [{bends[name]: bend} for bend in (0.5, 2.0, 1e-3)] if name in bends else [{}]
        if name == "smooth_l1_loss":
            options.append({"beta": 0.0})
        for reduction in REDUCTIONS:
            for attrs in options:
                op.case(args((4, 5), (4, 5)), reduction=reduction, **attrs)
                op.case(args((2, 3, 4), (3, 1)), reduction=reduction, **attrs)
                if name != "smooth_l1_loss":
                    op.case(args((4, 5), (4, 5), weight=True), reduction=reduction, **attrs)
                    op.case(args((3, 4), (4,), weight=True), reduction=reduction, **attrs)
            op.case(args((), ()), reduction=reduction)
            # A difference of 0, of exactly the bend, and far beyond it.
            tie = {"input": np.float32([0, 1, -1, 1e4, -1e4]), "target": np.zeros(5, np.float32)}
            op.case(tie, reduction=reduction, tol=STEEP)
            op.case(args((2, 3, 4, 5), (2, 3, 4, 5)), reduction=reduction, tol=(2e-5, 1e-5))
        op.case(args((0, 5), (0, 5)), reduction="sum")
        op.case(args((3, 0), (3, 0)), reduction="none")
        op.raises(args((3,), (4,)))
        op.raises(args((3,), (3,)), reduction="average")
        if name in bends:
            op.raises(args((3,), (3,)), **{bends[name]: -1.0})
        if name != "smooth_l1_loss":
            op.raises(args((3,), (3,)) | {"weight": op.uniform((1,), 0.2, 2)})
    op.raises(args((3,), (3,)), delta=0.0)


def losses_binary(file):
    for name, low, high in [("binary_cross_entropy", 0.05, 0.95), ("binary_cross_entropy_with_logits", -5, 5)]:
        op = file.op(name, (2e-5, 1e-5))

        def args(shape, op=op, low=low, high=high, **weights):
            args = {"input": op.uniform(shape, low, high), "target": op.uniform(shape, 0, 1)}
            return args | {key: op.uniform(weight, 0.2, 2) for key, weight in weights.items()}

        extremes = np.float32([0, 0, 1, 1, 0.5]) if low > 0 else np.float32([-100, 100, -1e4, 1e4, 0])
        for reduction in REDUCTIONS:
            for arguments in [
                args((7,)),
                args(()),
                args((4, 5)),
                args((2, 3, 4, 5)),
                args((4, 5), weight=(4, 5)),
                args((4, 5), weight=(5,)),
                args((4, 5), weight=(4, 1)),
            ]:
                op.case(arguments, constant=("weight",), reduction=reduction)
            if low < 0:
                op.case(args((4, 5), pos_weight=(5,)), constant=("pos_weight",), reduction=reduction)
                both = args((2, 5, 3), weight=(5, 1), pos_weight=(3,))
                op.case(both, constant=("weight", "pos_weight"), reduction=reduction)
            target = np.float32([0, 1, 0, 1, 0.5])
            op.case({"input": extremes, "target": target}, constant=("target",), reduction=reduction)
        op.case(args((4, 5)))
        op.case(args((0, 5)), reduction="sum")
        op.raises(args((4, 5)) | {"target": op.uniform((5,), 0, 1)})
        op.raises(args((4, 5), weight=(4,)))
        op.raises(args((4, 5)), reduction="average")

    op = file.op("sigmoid_focal_loss", (2e-5, 1e-5))
    for reduction in REDUCTIONS:
        for attrs in [{}, {"alpha": -1}, {"alpha": 0.75, "gamma": 1.5}, {"gamma": 0.0}, {"alpha": 1.0, "gamma": 3}]:
            for shape in [(7,), (2, 3, 4)]:
                target = np.asarray(op.bools(shape), np.float32) if len(shape) == 1 else op.uniform(shape, 0, 1)
                op.case({"inputs": op.uniform(shape, -5, 5), "targets": target}, reduction=reduction, **attrs)
    op.case({"inputs": op.uniform((4, 5), -5, 5), "targets": op.uniform((4, 5), 0, 1)})
    op.raises({"inputs": op.uniform((4, 5)), "targets": op.uniform((4, 4), 0, 1)})

    op = file.op("dice_loss", (2e-5, 1e-5))
    for reduction in REDUCTIONS:
        for shape in [(2, 3, 7), (1, 1, 4, 5), (3, 2, 2, 3, 4)]:
            for attrs in [{}, {"smooth": 1e-5}, {"smooth": 0.0}]:
                target = np.asarray(op.bools(shape), np.float32)
                op.case({"input": op.uniform(shape, 0.05, 0.95), "target": target}, reduction=reduction, **attrs)
    op.case({"input": np.zeros((1, 2, 3), np.float32), "target": np.zeros((1, 2, 3), np.float32)})  # 0: nothing, found
    op.raises({"input": op.uniform((2, 3, 4)), "target": op.uniform((2, 3, 5))})


def losses_divergence(file):
    op = file.op("kl_div", (1e-5, 5e-6))

    def args(shape, target_shape, log_target):
        low, high = (-3, 0) if log_target else (0.05, 1)
        return {"input": op.uniform(shape, -3, 0), "target": op.uniform(target_shape, low, high)}

    for reduction in (*REDUCTIONS, "batchmean"):
        for log_target in (False, True):
            attrs = {"reduction": reduction, "log_target": log_target}
            for shape, target in [((4, 5), (4, 5)), ((7,), (7,)), ((2, 3, 4), (2, 3, 4)), ((3, 4), (4,))]:
                op.case(args(shape, target, log_target), **attrs)
        zeros = {"input": op.uniform((2, 3), -3, 0), "target": np.float32([[0, 0.5, 0.5], [0, 0, 1]])}
        op.case(zeros, constant=("target",), reduction=reduction)  # 0 log 0 is 0
        op.case({"input": op.uniform((2,)), "target": np.float32([-1, 0.5])}, grad=False, reduction=reduction)
    op.case(args((4, 5), (4, 5), False))
    op.case(args((), (), False), reduction="sum")
    op.case(args((0, 5), (0, 5), False), reduction="batchmean")
    op.case(args((), (), False), reduction="batchmean")  # a scalar is a batch of one
    op.raises(args((3,), (4,), False))
    op.raises(args((3,), (3,), False), reduction="average")


def losses_margin(file):
    def sides(op, shape):
        return np.where(op.bools(shape), np.float32(1), np.float32(-1))

    op = file.op("cosine_embedding_loss", (2e-5, 1e-5))
    for reduction in REDUCTIONS:
        for attrs in ({}, {"margin": 0.3}, {"margin": -0.5}):
            for a, b, t in [((6, 5), (6, 5), (6,)), ((7,), (7,), ()), ((4, 3), (1, 3), (4,))]:
                args = {"input1": op.uniform(a), "input2": op.uniform(b), "target": sides(op, t)}
                op.case(args, constant=("target",), reduction=reduction, **attrs)
        args = {"input1": op.uniform((3, 4)), "input2": op.uniform((3, 4)), "target": np.int64([1, -1, 0])}
        op.case(args, reduction=reduction)  # a target of neither counts for nothing
    for a, b, t in [((6, 5), (6, 5), ()), ((6, 5), (6, 5), (6, 5)), ((5,), (6, 5), (6,)), ((6, 5), (6, 4), (6,))]:
        op.raises({"input1": op.uniform(a), "input2": op.uniform(b), "target": sides(op, t)})

    op = file.op("hinge_embedding_loss", (1e-5, 5e-6))
    for reduction in REDUCTIONS:
        for attrs in ({}, {"margin": 0.3}, {"margin": 2.0}):
            for a, t in [((7,), (7,)), ((), ()), ((4, 5), (5,)), ((2, 3, 4), (2, 3, 4))]:
                args = {"input": op.uniform(a, -2, 2), "target": sides(op, t)}
                op.case(args, constant=("target",), reduction=reduction, **attrs)
        op.case({"input": op.uniform((3,)), "target": np.int64([1, -1, 0])}, reduction=reduction)
    op.raises({"input": op.uniform((3,)), "target": sides(op, (4,))})
    op.raises({"input": op.uniform((3,)), "target": sides(op, (3,))}, reduction="average")

    op = file.op("margin_ranking_loss", (1e-5, 5e-6))
    for reduction in REDUCTIONS:
        for attrs in ({}, {"margin": 0.5}, {"margin": -0.25}):
            for a, b, t in [
                ((7,), (7,), (7,)),
                ((4, 5), (1, 5), (4, 1)),
                ((), (), ()),
                ((2, 3, 4), (2, 3, 4), (2, 3, 4)),
            ]:
                args = {"input1": op.uniform(a), "input2": op.uniform(b), "target": sides(op, t)}
                op.case(args, constant=("target",), reduction=reduction, **attrs)
    op.raises({"input1": op.uniform((3,)), "input2": op.uniform((3,)), "target": sides(op, (1, 3))})
    op.raises({"input1": op.uniform((3, 1)), "input2": op.uniform((3,)), "target": sides(op, (3,))})
    op.raises({"input1": op.uniform((3,)), "input2": op.uniform((4,)), "target": sides(op, (3,))})

    op = file.op("triplet_margin_loss", (2e-5, 1e-5))

    def triplet(*shapes):
        return dict(zip(("anchor", "positive", "negative"), (op.uniform(shape, -2, 2) for shape in shapes)))

    for reduction in REDUCTIONS:
        for attrs in (
            {},
            {"margin": 0.2},
            {"p": 1},
            {"p": 3.0, "margin": 2.0},
            {"swap": True},
            {"eps": 0.01, "swap": True},
        ):
            op.case(triplet((6, 5), (6, 5), (6, 5)), reduction=reduction, **attrs)
        op.case(triplet((5,), (5,), (5,)), reduction=reduction)
        op.case(triplet((2, 3, 4), (2, 3, 4), (2, 1, 4)), reduction=reduction, swap=True)
    op.raises(triplet((6, 5), (6, 5), (5,)))
    op.raises(triplet((6, 5), (4, 5), (6, 5)))
    op.raises(triplet((6, 5), (6, 5), (6, 5)), margin=0.0)


FAMILIES = [losses, losses_nll, losses_regression, losses_binary, losses_divergence, losses_margin]
