"""Normalizations."""

import numpy as np

from harness import INF, NAN, sum_tolerance
from families.shape import shape


def tolerance(args, outputs):
    rtol, atol = sum_tolerance(args["input"].numel())
    return (max(rtol, 5e-5), max(atol, 2e-5))


def named(op, x, scale, weight, bias):
    args = {"input": op.uniform(x, -2, 2)}
    args |= {"weight": op.uniform(scale, 0.3, 2)} if weight else {}
    return args | ({"bias": op.uniform(scale)} if bias else {})


def running(op, x, channels, weight, bias):
    statistics = {"running_mean": op.uniform(channels), "running_var": op.uniform(channels, 0.3, 2)}
    args = named(op, x, channels, weight, bias)
    return {"input": args.pop("input")} | statistics | args


STATISTICS = ("running_mean", "running_var")


def normalization(file):
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
        op.case({"input": op.uniform((4, 100), 1000, 1001)}, coarse=True, dim=1)  # a large mean
        op.case({"input": np.float32([[2, 2, 2], [1, 2, 3]])}, dim=1)
        op.case({"input": op.uniform((3, 1))}, grad=False, dim=1)  # NaN
        op.case({"input": op.uniform((0, 3))}, dim=1)
        op.case({"input": np.float32([[1, NAN, 2], [INF, 2, 1]])}, grad=False, dim=1)
        op.raises({"input": op.uniform((2, 3))}, dim=2)
        op.raises({"input": op.uniform((2, 3))}, dim=[0, -2])
        op.raises({"input": op.index((2, 3), 5)}, dim=1)

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
    op.case({"input": op.uniform((3, 64), 100, 101)}, coarse=True, normalized_shape=(64,))  # a large mean
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

    constant = STATISTICS
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


# What a hundred of a step of 1 / sqrt(eps) leaves of the rounding in deviations that should be 0.
STEEP = (2e-4, 2e-3)
AFFINE = ((True, True), (False, False), (True, False), (False, True))


def inputs(op, shape):
    """Inputs whose statistics are hard, and what to hold the results to."""
    fine = {"tol": (2e-6, 2e-6), "coarse": True}
    return [
        (np.float32(1e3) + op.uniform(shape), fine),
        (np.float32(-1e4) + op.whole(shape, -8, 8), fine),
        (np.full(shape, 3, np.float32), {"tol": STEEP}),
        (np.full(shape, -0.1, np.float32), {"tol": STEEP}),
        (np.zeros(shape, np.float32), {"tol": STEEP}),
        (op.uniform(shape, -1e-4, 1e-4), {"tol": STEEP}),
        (op.uniform(shape, -1e8, 1e8), {}),
        (op.whole(shape, 0, 1), {}),
    ]


def normalization_corners(file):
    for name in ("var", "std"):
        op = file.op(name, tolerance)
        for correction in (0, 1, 2, 1.5, -1):
            for dim in (0, 1, [0, 1], None):
                op.case({"input": op.uniform((4, 5), -2, 2)}, dim=dim, correction=correction)
        for x, hold in inputs(op, (3, 8))[:2]:
            op.case({"input": x}, dim=1, **hold)
        # PyTorch adds up in float64 here: however large the mean, nothing is lost. Its gradient rounds the mean.
        op.case({"input": np.float32(1e6) + op.whole((2, 64), -3, 3)}, grad=False, dim=1, tol=(2e-5, 1e-5))
        op.case({"input": np.float32(1e6) + op.whole((3, 300), -3, 3)}, grad=False, dim=1, tol=(2e-5, 1e-5))
        op.case({"input": np.float32(-3e5) + op.uniform((2, 250), -2, 2)}, grad=False, dim=1, tol=(2e-5, 1e-5))
        op.case({"input": op.uniform((3, 5), -1e15, 1e15)}, dim=1, tol=(2e-6, 2e-6), coarse=True)
        op.case({"input": op.uniform((3, 5), -1e-10, 1e-10)}, dim=1, grad=name == "var", tol=(2e-5, 1e-14))
        op.case({"input": np.zeros((2, 4), np.float32)}, dim=1)
        op.case({"input": np.full((2, 4), 1e6, np.float32)}, dim=1)
        op.case({"input": op.uniform((2, 1, 3))}, dim=1, correction=0, keepdim=True)
        op.case({"input": op.uniform((2, 3))}, grad=False, dim=1, correction=5)  # infinite
        op.case({"input": np.float32([[1, 2, 3], [4, 4, 4]])}, grad=False, dim=1, correction=3)
        op.case({"input": op.uniform(())}, grad=False, correction=0)
        op.case({"input": op.uniform(())}, grad=False)
        op.case({"input": op.uniform((1,))}, grad=False, correction=0, keepdim=True)
        op.case({"input": op.uniform((2, 0))}, grad=False, dim=1)
        op.case({"input": op.uniform((2, 0))}, grad=False, dim=0)
        op.case({"input": op.uniform((0,))}, grad=False)
        op.case({"input": np.float32([[INF, 1, 2], [-INF, INF, 0], [NAN, NAN, 1]])}, grad=False, dim=0)
        # PyTorch's gradient over all dimensions by an empty list is too large by their number of elements.
        op.case({"input": op.uniform((2, 3, 4))}, grad=False, dim=[], correction=0)
        op.case({"input": op.uniform((2, 3, 4))}, dim=[-3, 1], keepdim=True)
        op.raises({"input": op.uniform((2, 3))}, dim=-3)
        op.raises({"input": op.uniform((2, 3))}, dim=[1, 1])
        op.raises({"input": op.bools((2, 3))}, dim=1)

    op = file.op("layer_norm", tolerance)
    for weight, bias in AFFINE:
        for shape, over in [((1,), (1,)), ((2, 7), (7,)), ((5, 2, 3), (2, 3)), ((1, 1, 11), (1, 11))]:
            op.case(named(op, shape, over, weight, bias), normalized_shape=over, eps=1e-3)
    for x, hold in inputs(op, (3, 8)):
        op.case({"input": x}, normalized_shape=(8,), **hold)
    op.case({"input": np.float32([[INF, 1, 2], [NAN, 0, 1], [1, 2, 4]])}, grad=False, normalized_shape=(3,))
    op.case(named(op, (2, 0), (0,), True, True), normalized_shape=(0,))
    op.case(named(op, (0, 3, 2), (3, 2), True, True), normalized_shape=(3, 2))
    op.case(named(op, (2, 4), (4,), True, True), normalized_shape=(4,), eps=0.0)
    op.raises(named(op, (3, 5), (5,), False, False), normalized_shape=(5, 3))
    op.raises(named(op, (3, 5), (3, 5), True, False), normalized_shape=(5,))
    op.raises(named(op, (3, 5), (5,), True, False) | {"bias": op.uniform((4,))}, normalized_shape=(5,))
    op.raises({"input": op.index((2, 3), 5)}, normalized_shape=(3,))
    op.raises({"input": op.uniform(())}, normalized_shape=(1,))

    op = file.op("group_norm", tolerance)
    for weight, bias in AFFINE:
        for shape, groups in [((2, 4), 2), ((1, 6, 1, 2), 2), ((3, 3, 2), 3), ((2, 5, 1, 1, 2), 1)]:
            op.case(named(op, shape, shape[1:2], weight, bias), num_groups=groups, eps=1e-3)
    for x, hold in inputs(op, (2, 4, 3)):
        op.case({"input": x}, num_groups=2, **hold)
    op.case({"input": np.float32([[[INF, 1], [2, 0]], [[1, 2], [NAN, 1]]])}, grad=False, num_groups=2)
    op.case(named(op, (0, 6), (6,), True, True), num_groups=3)
    op.case(named(op, (2, 4, 2), (4,), True, True), num_groups=2, eps=0.0)
    op.raises(named(op, (2, 4, 0), (4,), False, False), num_groups=2)
    op.raises(named(op, (2, 0, 3), (0,), False, False), num_groups=1)
    op.raises(named(op, (2, 4, 3), (4,), False, False), num_groups=8)
    op.raises(named(op, (2, 4, 3), (4,), False, True) | {"weight": op.uniform((2,))}, num_groups=2)
    op.raises(named(op, (1, 2, 1), (2,), False, False), num_groups=2)
    op.raises({"input": op.index((2, 4), 5)}, num_groups=2)

    op = file.op("batch_norm", tolerance)
    for weight, bias in AFFINE:
        op.case(named(op, (3, 2, 5), (2,), weight, bias), training=True, eps=1e-3)
        op.case(running(op, (3, 2, 5), (2,), weight, bias), constant=STATISTICS, eps=1e-3)
    for shape in [(2, 1), (7, 3), (2, 3, 1), (1, 3, 2), (2, 2, 1, 1, 3)]:
        op.case(named(op, shape, shape[1:2], True, True), training=True, eps=1e-2)
    for x, hold in inputs(op, (4, 2, 3)):
        op.case({"input": x}, training=True, **hold)
    op.case({"input": np.float32([[INF, 1], [2, 0], [1, NAN]])}, grad=False, training=True)
    op.case(running(op, (0, 3, 2), (3,), True, True), constant=STATISTICS)
    op.case(named(op, (2, 3, 0), (3,), True, True), training=True)
    op.case(named(op, (0, 3), (3,), False, False), training=True)
    negative = {"input": op.uniform((2, 2)), "running_mean": np.zeros(2, np.float32)}
    op.case(negative | {"running_var": np.float32([-1, 1])}, grad=False)
    op.case(negative | {"running_var": np.float32([0, INF])}, grad=False)
    op.raises({"input": op.uniform((2, 3)), "running_mean": op.uniform((3,))}, training=True)
    op.raises({"input": op.uniform((2, 3)), "running_var": op.uniform((3,))})
    op.raises(running(op, (2, 3), (2,), False, False), training=True)
    op.raises({"input": op.index((2, 3), 5)}, training=True)


def normalization_instance(file):
    op = file.op("instance_norm", tolerance)
    for shape, eps in [
        ((2, 3, 4), 1e-5),
        ((1, 1, 2), 1e-3),
        ((3, 2, 7), 1e-5),
        ((2, 3, 4, 5), 1e-5),
        ((1, 2, 1, 5), 0.1),
        ((2, 2, 1, 3, 2), 1e-3),
        ((4, 1, 3, 1), 1e-5),
    ]:
        channels = shape[1:2]
        for weight, bias in AFFINE:
            op.case(named(op, shape, channels, weight, bias), eps=eps)
        op.case(running(op, shape, channels, True, True), constant=STATISTICS, momentum=0.3, eps=eps)
        op.case(running(op, shape, channels, True, False), constant=STATISTICS, use_input_stats=False, eps=eps)
    for x, hold in inputs(op, (2, 2, 6)):
        op.case({"input": x}, **hold)
    op.case({"input": np.float32([[[INF, 1], [2, 0]], [[1, NAN], [0, 1]]])}, grad=False)
    op.case(running(op, (2, 3), (3,), False, False), constant=STATISTICS, use_input_stats=False)
    op.case(running(op, (2, 3, 1), (3,), True, True), constant=STATISTICS, use_input_stats=False)
    op.case(named(op, (0, 3, 2), (3,), False, False))
    op.case(named(op, (2, 3, 0), (3,), False, False))
    op.case(named(op, (2, 3, 4), (3,), True, True), eps=0.0)
    op.case(named(op, (2, 5, 6, 7), (5,), True, True))
    op.case(named(op, (2, 2, 257), (2,), True, True))
    op.raises(named(op, (2, 3), (3,), False, False))  # one position
    op.raises(named(op, (2, 3, 1, 1), (3,), False, False))
    op.raises(named(op, (3,), (3,), False, False))
    op.raises(running(op, (3,), (3,), False, False), use_input_stats=False)
    op.raises(named(op, (2, 3, 4), (3,), False, False), use_input_stats=False)
    op.raises(named(op, (2, 3, 4), (2,), True, False))
    op.raises(named(op, (2, 3, 4), (4,), False, True))
    op.raises(running(op, (2, 3, 4), (2,), False, False))
    op.raises({"input": op.uniform((2, 3, 4)), "running_mean": op.uniform((3,))})
    op.raises({"input": op.index((2, 3, 4), 5)})


def normalization_scale(file):
    op = file.op("rms_norm", tolerance)
    for shape, over in [
        ((7,), (7,)),
        ((1,), (1,)),
        ((3, 5), (5,)),
        ((3, 5), (3, 5)),
        ((2, 3, 5), (3, 5)),
        ((2, 3, 4, 5), (5,)),
        ((2, 3, 4, 5), (3, 4, 5)),
        ((3, 1), (1,)),
        ((2, 521), (521,)),
        ((0, 5), (5,)),
        ((2, 0), (0,)),
    ]:
        for weight in (True, False):
            for eps in (None, 0.1):
                op.case(named(op, shape, over, weight, False), normalized_shape=over, eps=eps)
    op.case(named(op, (3, 5), (5,), True, False), normalized_shape=(5,))
    op.case(named(op, (3, 5), (5,), True, False), normalized_shape=(5,), eps=0.0)
    for x, hold in inputs(op, (3, 8)):
        op.case({"input": x}, normalized_shape=(8,), eps=1e-5, **({"tol": (5e-5, 2e-5)} | hold))
    op.case({"input": np.zeros((2, 4), np.float32)}, normalized_shape=(4,), tol=STEEP)
    op.case({"input": np.zeros((2, 4), np.float32)}, grad=False, normalized_shape=(4,), eps=0.0)  # NaN
    op.case({"input": np.float32([[INF, 1, 2], [NAN, 0, 1], [1, 2, 4]])}, grad=False, normalized_shape=(3,))
    op.raises(named(op, (3, 5), (3,), False, False), normalized_shape=(3,))
    op.raises(named(op, (3, 5), (5,), False, False), normalized_shape=(2, 3, 5))
    op.raises(named(op, (3, 5), (1,), True, False), normalized_shape=(5,))
    op.raises(named(op, (3, 5), (5,), False, False), normalized_shape=())
    op.raises({"input": op.index((2, 3), 5)}, normalized_shape=(3,))

    op = file.op("local_response_norm", tolerance)
    for shape in [(2, 5, 3), (1, 1, 1), (1, 7, 2, 2), (2, 3, 1, 2, 2), (3, 2, 5)]:
        for size in (1, 2, 3, 5, 8):
            op.case({"input": op.uniform(shape, -3, 3)}, size=size)
            op.case({"input": op.uniform(shape, -3, 3)}, size=size, alpha=0.5, beta=0.5 + 0.25 * size, k=2.0)
    op.case({"input": op.uniform((2, 4, 3))}, size=100, alpha=1.0)
    op.case({"input": op.uniform((2, 4, 3), 0.5, 2)}, size=3, alpha=1.0, k=0.0)
    op.case({"input": op.uniform((2, 4, 3), 0.5, 2)}, size=3, alpha=1.0, beta=-1.5, k=1.0)
    op.case({"input": op.uniform((2, 4, 3))}, size=3, alpha=0.0)
    op.case({"input": op.uniform((2, 4, 3))}, size=3, beta=0.0)
    op.case({"input": np.float32(1e4) + op.uniform((2, 4, 3))}, size=2)
    op.case({"input": np.zeros((1, 3, 2), np.float32)}, size=2)
    op.case({"input": np.float32([[[INF], [1], [2], [NAN]]])}, grad=False, size=2)
    op.case({"input": op.uniform((0, 3, 2))}, size=2)
    op.case({"input": op.uniform((2, 0, 2))}, size=2)
    op.case({"input": op.uniform((2, 3, 0))}, size=2)
    op.raises({"input": op.uniform((2, 3))}, size=2)
    op.raises({"input": op.uniform((3,))}, size=2)
    op.raises({"input": op.uniform(())}, size=2)
    op.raises({"input": op.uniform((2, 3, 4))}, size=0)
    op.raises({"input": op.uniform((2, 3, 4))}, size=-1)

    op = file.op("normalize", tolerance)
    for shape, dim in [
        ((3, 5), 1),
        ((3, 5), 0),
        ((7,), 0),
        ((2, 3, 4), -1),
        ((2, 3, 4), [0, 2]),
        ((2, 3, 4, 5), 1),
        ((3, 1), 1),
    ]:
        for p in (2.0, 1.0, 3.0, 0.5, "inf", "-inf"):
            op.case({"input": op.signed(shape, 0.5, 2)}, p=p, dim=dim, tol=(1e-4, 5e-5))
    op.case({"input": op.uniform((3, 5))})
    op.case({"input": op.uniform((3, 5))}, eps=2.0)
    op.case({"input": op.uniform((3, 5), -1e-3, 1e-3)}, eps=0.5)
    op.case({"input": op.uniform((3, 5))}, p=0.0)
    op.case({"input": op.signed((3, 5), 0.5, 2)}, p=-1.0)
    op.case({"input": op.uniform((2, 3, 4))}, dim=None)
    op.case({"input": op.uniform(())}, dim=0, p=1.0)
    op.case({"input": np.zeros((2, 3), np.float32)}, grad=False)
    op.case({"input": np.zeros((2, 3), np.float32)}, eps=0.5)
    op.case({"input": np.float32([[0, 0, 3], [0, 4, 0]])}, dim=1)
    op.case({"input": np.float32([[NAN, 1], [INF, 1], [1, 2]])}, grad=False)
    op.case({"input": op.uniform((3, 5), -1e10, 1e10)}, tol=(5e-5, 2e-5))
    op.case({"input": np.float32(1e6) + op.whole((3, 5), -4, 4)}, tol=(5e-5, 2e-5))
    op.case({"input": op.uniform((0, 5))})
    op.case({"input": op.uniform((2, 0))})
    op.case({"input": op.uniform((0, 2))}, p="inf")
    op.raises({"input": op.uniform((2, 0))}, p="inf")
    op.raises({"input": op.uniform((3,))})
    op.raises({"input": op.uniform((2, 3))}, dim=2)
    op.raises({"input": op.uniform((2, 3))}, dim=[0, 0])
    op.raises({"input": op.index((2, 3), 5)})


FAMILIES = [normalization, normalization_corners, normalization_instance, normalization_scale]
