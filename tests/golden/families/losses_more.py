"""Losses of several classes, of distributions, and distances."""

import numpy as np

from families.losses import REDUCTIONS


def losses_classes(file):
    op = file.op("multi_margin_loss", (1e-5, 5e-6))

    def scored(shape, target_shape, weight=False):
        classes = shape[-1] if shape else 1
        args = {"input": op.uniform(shape, -2, 2), "target": op.index(target_shape, classes)}
        return args | ({"weight": op.uniform((classes,), 0.2, 2)} if weight else {})

    for reduction in REDUCTIONS:
        for attrs in [{}, {"p": 2}, {"margin": 0.3}, {"p": 2, "margin": -0.5}]:
            op.case(scored((4, 5), (4,)), reduction=reduction, **attrs)
            op.case(scored((3, 7), (3,), weight=True), constant=("weight",), reduction=reduction, **attrs)
        op.case(scored((5,), ()), reduction=reduction)
        op.case(scored((5,), (1,)), reduction=reduction, p=2)
        op.case(scored((1, 1), (1,)), reduction=reduction)  # one class: 0
        # A shortfall of exactly 0 has no gradient.
        tie = {"input": np.float32([[2, 1, 0], [0, 1, 1]]), "target": np.int64([0, 1])}
        op.case(tie, reduction=reduction)
    op.case(scored((0, 5), (0,)), reduction="none")
    op.case(scored((1, 5), ()))
    op.raises(scored((4, 5), (3,)))
    op.raises(scored((4, 5), (4,)), p=3)
    op.raises(scored((4, 5), (4,)), reduction="average")
    op.raises(scored((4, 5), (4,)) | {"weight": op.uniform((4,))})
    op.raises(scored((2, 3, 4), (2,)))
    op.raises({"input": op.uniform((4, 0)), "target": np.zeros(4, np.int64)})
    op.raises({"input": op.uniform((2, 3)), "target": np.int64([0, 3])})
    op.raises({"input": op.uniform((2, 3)), "target": np.int64([-1, 0])})

    op = file.op("multilabel_margin_loss", (1e-5, 5e-6))
    lists = {
        5: [[2, 1, -1, 0, 0], [0, 1, 2, 3, 4], [-1, 3, 3, 3, 3], [4, -1, -1, 2, 0]],
        3: [[0, 0, -1], [2, -1, 0], [1, 2, -1], [0, -1, -1]],
        1: [[0], [-1], [0], [-1]],
    }
    for reduction in REDUCTIONS:
        for classes, rows in lists.items():
            for count in (1, 4):
                target = np.int64(rows[:count])
                op.case({"input": op.uniform((count, classes), -2, 2), "target": target}, reduction=reduction)
            op.case({"input": op.uniform((classes,), -2, 2), "target": np.int64(rows[0])}, reduction=reduction)
        tie = {"input": np.float32([[2, 1, 0, 1]]), "target": np.int64([[0, -1, -1, -1]])}
        op.case(tie, reduction=reduction)
    op.case({"input": op.uniform((4, 5)), "target": np.int64(lists[5])})
    op.case({"input": op.uniform((0, 5)), "target": np.zeros((0, 5), np.int64)}, reduction="none")
    op.raises({"input": op.uniform((2, 3)), "target": np.int64([[0, 1, 2]])})
    op.raises({"input": op.uniform((3,)), "target": np.int64([[0, 1, 2]])})
    op.raises({"input": op.uniform((3,)), "target": np.int64([0, 3, -1])})
    op.raises({"input": op.uniform((3,)), "target": np.int64([0, -2, -1])})
    op.raises({"input": op.uniform((3,)), "target": np.int64([0, -1, 3])})  # past the end, but no label
    op.raises({"input": op.uniform((2, 0)), "target": np.zeros((2, 0), np.int64)})

    op = file.op("multilabel_soft_margin_loss", (1e-5, 5e-6))

    def several(shape, target_shape=None, **weights):
        target = np.asarray(op.bools(target_shape or shape), np.float32)
        args = {"input": op.uniform(shape, -4, 4), "target": target}
        return args | {key: op.uniform(weight, 0.2, 2) for key, weight in weights.items()}

    for reduction in REDUCTIONS:
        for arguments in [
            several((4, 5)),
            several((7,)),
            several((2, 3, 4)),
            several((3, 5), weight=(5,)),
            several((3, 5), weight=(3, 1)),
            several((4, 5), (5,)),
            {"input": op.uniform((3, 4), -2, 2), "target": op.uniform((3, 4), 0, 1)},
        ]:
            op.case(arguments, reduction=reduction)
        large = {"input": np.float32([[100, -100, 1e4, -1e4]]), "target": np.float32([[1, 1, 0, 0]])}
        op.case(large, constant=("target",), reduction=reduction)
    op.case(several((3, 1)))
    op.case(several((0, 5)), reduction="none")
    op.raises(several((4, 5), (4,)))
    op.raises(several((4, 5), weight=(4,)))
    op.raises(several((4, 5)), reduction="average")
    op.raises({"input": op.uniform(()), "target": op.uniform(())})

    op = file.op("soft_margin_loss", (1e-5, 5e-6))
    for reduction in REDUCTIONS:
        for shape, target in [
            ((4, 5), (4, 5)),
            ((7,), (7,)),
            ((), ()),
            ((2, 3, 4), (2, 3, 4)),
            ((4, 5), (5,)),
            ((3, 1), (3, 1)),
        ]:
            sides = np.where(op.bools(target), np.float32(1), np.float32(-1))
            op.case({"input": op.uniform(shape, -4, 4), "target": sides}, constant=("target",), reduction=reduction)
        op.case({"input": op.uniform((3, 4)), "target": op.uniform((3, 4))}, constant=("target",), reduction=reduction)
    op.case({"input": op.uniform((0, 5)), "target": op.uniform((0, 5))}, constant=("target",), reduction="sum")
    op.raises({"input": op.uniform((5,)), "target": op.uniform((4, 5))})
    op.raises({"input": op.uniform((5,)), "target": op.uniform((4,))})
    op.raises({"input": op.uniform((5,)), "target": op.uniform((5,))}, reduction="average")


def losses_likelihood(file):
    op = file.op("poisson_nll_loss", (1e-5, 1e-5))

    def counted(shape, target_shape, low):
        return {"input": op.uniform(shape, low, 3), "target": op.whole(target_shape, 0, 6)}

    for reduction in REDUCTIONS:
        for full in (False, True):
            for log_input, low in ((True, -2), (False, 0.2)):
                attrs = {"log_input": log_input, "full": full, "reduction": reduction}
                for shape, target in [((4, 5), (4, 5)), ((2, 3, 4), (3, 1)), ((), ())]:
                    # Where a count of 0 has no term, PyTorch's gradient of the count is 0 times infinity.
                    op.case(counted(shape, target, low), constant=("target",), **attrs)
                above = {"input": op.uniform((3, 4), low, 3), "target": op.uniform((3, 4), 1.1, 5)}
                op.case(above, **attrs)
        op.case(counted((5,), (5,), 0), constant=("target",), log_input=False, eps=0.01, reduction=reduction)
    op.case(counted((4, 5), (4, 5), -2))
    op.case(counted((0, 5), (0, 5), -2), reduction="sum")
    op.raises(counted((4, 5), (4,), -2))
    op.raises(counted((4,), (4,), -2), reduction="average")

    op = file.op("gaussian_nll_loss", (1e-5, 1e-5))

    def normal(shape, target, var, low=0.3):
        values = op.uniform(var, low, 2)
        return {"input": op.uniform(shape, -2, 2), "target": op.uniform(target, -2, 2), "var": values}

    for reduction in REDUCTIONS:
        for full in (False, True):
            attrs = {"full": full, "reduction": reduction}
            for shapes in [
                [(4, 5), (4, 5), (4, 5)],
                [(4, 5), (4, 5), (4,)],
                [(4, 5), (4, 5), (4, 1)],
                [(4, 5), (5,), (1, 5)],
                [(2, 3, 4), (2, 3, 4), (2, 3)],
                [(2, 3, 4), (2, 3, 4), (2, 1, 4)],
                [(7,), (7,), (7,)],
                [(7,), (7,), ()],
                [(), (), ()],
            ]:
                op.case(normal(*shapes), **attrs)
            op.case({k: v for k, v in normal((4,), (4,), ()).items() if k != "var"}, var=0.5, **attrs)
        # Below the least variance, whose gradient passes.
        low = normal((4,), (4,), (4,)) | {"var": np.float32([0, 0.05, 0.1, 0.2])}
        op.case(low, eps=0.1, reduction=reduction)
    op.case(normal((4, 5), (4, 5), (4, 5)))
    op.raises(normal((4, 5), (4, 5), (5,)))
    op.raises(normal((4, 5), (4, 5), (1, 1)))
    op.raises(normal((4, 5), (4, 5), ()))
    op.raises(normal((4, 5), (4, 4), (4, 5)))
    op.raises(normal((4,), (4,), (4,)) | {"var": np.float32([1, 1, -0.5, 1])})
    op.raises({"input": op.uniform((4,)), "target": op.uniform((4,))}, var=-1.0)
    op.raises(normal((4,), (4,), (4,)), reduction="average")


def losses_distance(file):
    op = file.op("pairwise_distance", (2e-5, 1e-5))

    def both(a, b):
        return {"x1": op.uniform(a, -2, 2), "x2": op.uniform(b, -2, 2)}

    for attrs in [{}, {"p": 1}, {"p": 3.0}, {"p": 0.5, "eps": 0.1}, {"keepdim": True}, {"eps": 0.5, "keepdim": True}]:
        for a, b in [((4, 5), (4, 5)), ((7,), (7,)), ((2, 3, 4), (3, 1)), ((4, 1), (1, 1)), ((5,), (3, 5))]:
            op.case(both(a, b), **attrs)
    op.case(both((4, 5), (4, 5)), p=0)
    op.case(both((4, 5), (4, 5)), p="inf")
    op.case(both((0, 5), (0, 5)))
    op.case(both((3, 0), (3, 0)))
    same = op.uniform((3, 4))
    op.case({"x1": same, "x2": same.copy()}, eps=0.0)  # no distance, no gradient
    op.raises(both((4, 5), (4, 4)))
    op.raises(both((3, 0), (3, 0)), p="inf")

    op = file.op("cosine_similarity", (2e-5, 1e-5))
    for attrs in [{}, {"dim": 0}, {"dim": -1}, {"eps": 0.5}, {"eps": 9.0, "dim": 0}]:
        for a, b in [((4, 5), (4, 5)), ((2, 3, 4), (2, 3, 4)), ((4, 5), (1, 5)), ((3, 4), (2, 3, 1))]:
            op.case(both(a, b), **attrs)
    for shape in [(), (1,), (7,)]:
        op.case(both(shape, shape), dim=0)
        op.case(both(shape, shape), dim=-1)
    op.case(both((4, 1), (4, 1)))
    op.case(both((4, 0), (4, 0)))
    op.case(both((0, 4), (0, 4)))
    op.case({"x1": np.zeros((2, 3), np.float32), "x2": op.uniform((2, 3))}, grad=False)
    op.raises(both((5,), (5,)))
    op.raises(both((4, 5), (4, 4)))
    op.raises(both((4, 5), (4, 5)), dim=2)

    op = file.op("triplet_margin_with_distance_loss", (2e-5, 1e-5))

    def triplet(*shapes):
        return dict(zip(("anchor", "positive", "negative"), (op.uniform(shape, -2, 2) for shape in shapes)))

    for reduction in REDUCTIONS:
        for attrs in ({}, {"margin": 0.2}, {"margin": 3.0}, {"swap": True}, {"margin": 2.0, "swap": True}):
            op.case(triplet((6, 5), (6, 5), (6, 5)), reduction=reduction, **attrs)
        op.case(triplet((5,), (5,), (5,)), reduction=reduction)
        op.case(triplet((2, 3, 4), (2, 3, 4), (2, 1, 4)), reduction=reduction, swap=True)
    op.case(triplet((6, 1), (6, 1), (6, 1)), terms=1 / 6)  # sides of an axis: the anchor's gradients cancel
    op.raises(triplet((6, 5), (6, 5), (5,)))
    op.raises(triplet((6, 5), (4, 5), (6, 5)))
    op.raises(triplet((6, 5), (6, 5), (6, 5)), margin=0.0)
    op.raises(triplet((6, 5), (6, 5), (6, 5)), reduction="average")


FAMILIES = [losses_classes, losses_likelihood, losses_distance]
