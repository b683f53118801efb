"""Normalizations."""

import numpy as np

from harness import INF, NAN, sum_tolerance
from families.shape import shape


def normalization(file):
    def tolerance(args, outputs):
        rtol, atol = sum_tolerance(args["input"].numel())
        return (max(rtol, 5e-5), max(atol, 2e-5))

    for name in ("var", "std"):
        op = file.op(name, tolerance)
        for shape, attrs in [
            ((7,), {}),
            ((5, 7, 11), {"dim": None}),
            ((5, 7, 11), {"dim": [0, 2], "correction": 0}),
            ((5, 7), {"dim": -1, "keepdim": True}),
            ((5, 7), {"dim": [0], "correction": 2}),
            ((5, 7), {"dim": 1, "correction": 0.5}),
            ((2, 3, 4, 5), {"dim": [1, -1], "correction": 1, "keepdim": True}),
            ((3, 1), {"dim": 1, "correction": 0}),  # variance 0
            ((1031, 3), {"dim": 0}),
        ]:
            op.case({"input": op.uniform(shape, -2, 2)}, **attrs)
        op.case({"input": op.uniform((4, 100), 1000, 1001)}, tol=(2e-5, 1e-4), dim=1)  # a large mean
        op.case({"input": np.float32([[2, 2, 2], [1, 2, 3]])}, dim=1)
        op.case({"input": op.uniform((3, 1))}, grad=False, dim=1)  # NaN
        op.case({"input": op.uniform((0, 3))}, dim=1)
        op.case({"input": np.float32([[1, NAN, 2], [INF, 2, 1]])}, grad=False, dim=1)
        op.raises({"input": op.uniform((2, 3))}, dim=2)
        op.raises({"input": op.uniform((2, 3))}, dim=[0, -2])
        op.raises({"input": op.index((2, 3), 5)}, dim=1)

    def named(op, x, scale, weight, bias):
        args = {"input": op.uniform(x, -2, 2)}
        args |= {"weight": op.uniform(scale, 0.3, 2)} if weight else {}
        return args | ({"bias": op.uniform(scale)} if bias else {})

    op = file.op("layer_norm", tolerance)
    for shape, over, eps in [
        ((7,), (7,), 1e-5),
        ((3, 5), (5,), 1e-5),
        ((3, 5), (3, 5), 1e-5),
        ((2, 3, 5), (3, 5), 0.5),
        ((2, 3, 4, 5), (5,), 1e-5),
        ((2, 3, 4, 5), (3, 4, 5), 1e-3),
        ((3, 1), (1,), 0.1),
        ((4, 1031), (1031,), 1e-5),
        ((0, 5), (5,), 1e-5),
    ]:
        for weight, bias in ((True, True), (False, False), (True, False)):
            op.case(named(op, shape, over, weight, bias), normalized_shape=over, eps=eps)
    op.case(named(op, (3, 5), (5,), True, True), normalized_shape=(5,))
    op.case({"input": op.uniform((3, 64), 100, 101)}, tol=(1e-4, 1e-4), normalized_shape=(64,))  # a large mean
    op.case({"input": np.float32([[8, 2], [0, 4]])}, normalized_shape=(2,), eps=1e-5)
    op.raises(named(op, (3, 5), (3,), False, False), normalized_shape=(3,))
    op.raises(named(op, (3, 5), (5,), False, False), normalized_shape=(2, 3, 5))
    op.raises(named(op, (3, 5), (3,), True, False), normalized_shape=(5,))
    op.raises(named(op, (3, 5), (1,), False, True), normalized_shape=(5,))
    op.raises(named(op, (3, 5), (5,), False, False), normalized_shape=())

    op = file.op("group_norm", tolerance)
    for shape, groups, eps in [
        ((2, 6), 2, 1e-5),
        ((2, 6, 5), 3, 1e-5),
        ((3, 4, 3, 5), 1, 0.1),
        ((1, 4, 7, 3), 4, 1e-5),
        ((2, 3), 3, 0.1),  # one value for each group
        ((2, 4, 3, 2, 5), 2, 1e-5),
        ((1, 4), 2, 1e-2),
        ((2, 8, 13, 11), 4, 1e-5),
        ((0, 4, 3), 2, 1e-5),
    ]:
        for weight, bias in ((True, True), (False, False), (False, True)):
            op.case(named(op, shape, shape[1:2], weight, bias), num_groups=groups, eps=eps)
    op.case(named(op, (2, 4, 3), (4,), True, False), num_groups=2)
    op.raises(named(op, (2, 6, 5), (6,), False, False), num_groups=4)
    op.raises(named(op, (2, 6, 5), (3,), True, False), num_groups=3)
    op.raises(named(op, (2, 6, 5), (5,), False, True), num_groups=3)
    op.raises(named(op, (1, 3), (3,), False, False), num_groups=3)
    op.raises(named(op, (6,), (6,), False, False), num_groups=3)

    op = file.op("batch_norm", tolerance)

    def running(op, x, channels, weight, bias):
        statistics = {"running_mean": op.uniform(channels), "running_var": op.uniform(channels, 0.3, 2)}
        args = named(op, x, channels, weight, bias)
        return {"input": args.pop("input")} | statistics | args

    constant = ("running_mean", "running_var")
    for shape, eps in [
        ((5, 3), 1e-3),
        ((3, 2, 7), 1e-5),
        ((2, 3, 4, 5), 1e-5),
        ((1, 2, 3, 5), 0.1),
        ((4, 1, 2, 3, 2), 1e-5),
        ((7, 4, 13, 11), 1e-5),
    ]:
        channels = shape[1:2]
        for weight, bias in ((True, True), (False, False)):
            op.case(running(op, shape, channels, weight, bias), constant=constant, training=True, eps=eps)
            op.case(running(op, shape, channels, weight, bias), constant=constant, training=False, eps=eps)
        op.case(named(op, shape, channels, True, False), training=True, momentum=0.5, eps=eps)
    op.case(running(op, (2, 3, 4), (3,), True, True), constant=constant)
    op.case(running(op, (1, 3), (3,), False, True), constant=constant)  # one value will do in evaluation
    op.case(running(op, (0, 3, 2), (3,), False, False), constant=constant, training=True)
    op.raises(named(op, (2, 3, 4), (3,), False, False))  # no statistics
    op.raises(running(op, (1, 3), (3,), False, False), training=True)
    op.raises(running(op, (1, 3, 1, 1), (3,), True, True), training=True)
    op.raises(running(op, (2, 3, 4), (4,), False, False))
    op.raises(named(op, (2, 3, 4), (2,), True, False), training=True)
    op.raises(named(op, (2, 3, 4), (4,), False, True), training=True)
    op.raises(named(op, (3,), (3,), False, False), training=True)


FAMILIES = [normalization]
