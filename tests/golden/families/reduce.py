"""Reductions and norms."""

import numpy as np

from harness import EXACT, INF, NAN, POINTWISE, SAME, listed, sum_tolerance
from families.shape import shape


def reductions(file):
    grid = [  # (shape, attrs)
        ((), {}),
        ((), {"dim": 0}),
        ((), {"dim": -1, "keepdim": True}),
        ((7,), {}),
        ((7,), {"dim": 0, "keepdim": False}),
        ((3, 5), {"dim": 1}),
        ((3, 5), {"dim": 0, "keepdim": True}),
        ((2, 3, 4), {"dim": -2}),
        ((2, 1, 4), {"dim": 1}),
        ((2, 3, 4, 5), {"dim": 2, "keepdim": True}),
        ((3, 0, 2), {"dim": 0}),
        ((3, 0, 2), {"dim": -1, "keepdim": True}),
        ((2, 3, 4, 5), {}),
        ((67, 13), {"dim": 0}),
        ((13, 67), {"dim": 1}),
    ]
    lists = [  # (shape, attrs), where a list of dimensions is allowed
        ((2, 3, 4), {"dim": [0, 2]}),
        ((2, 3, 4), {"dim": [-1, 0], "keepdim": True}),
        ((2, 3, 4), {"dim": [1]}),
        ((2, 3, 4), {"dim": [0, 1, 2]}),
        ((2, 3, 4), {"dim": [0, 1, 2], "keepdim": True}),
        ((2, 3, 4), {"dim": []}),  # all dimensions
        ((2, 3, 4, 5), {"dim": [0, 2, 3]}),
        ((2, 3, 4, 5), {"dim": [-2, -1], "keepdim": True}),
        ((), {"dim": []}),
    ]
    nones = [((2, 3), {"dim": None}), ((2, 3), {"dim": None, "keepdim": True}), ((), {"dim": None, "keepdim": True})]

    def bad_dims(op, listed):
        op.raises({"input": op.uniform((2, 3))}, dim=2)
        op.raises({"input": op.uniform((2, 3))}, dim=-3)
        op.raises({"input": op.uniform(())}, dim=1)
        if listed:
            op.raises({"input": op.uniform((2, 3))}, dim=[0, 5])
            op.raises({"input": op.uniform((2, 3))}, dim=[0, 0])
            op.raises({"input": op.uniform((2, 3))}, dim=[1, -1])

    def reduced(args, outputs):
        return sum_tolerance(args["input"].numel() / max(outputs[0].numel(), 1))

    for name in ("sum", "mean"):
        op = file.op(name, reduced)
        for shape, attrs in grid + lists + nones:
            op.case({"input": op.uniform(shape)}, **attrs)
        op.case({"input": op.exact((5003,))}, tol=POINTWISE)  # exact sums: no allowance for the length
        op.case({"input": op.exact((3, 1031))}, tol=POINTWISE, dim=-1)
        op.case({"input": op.exact((1031, 3))}, tol=POINTWISE, dim=0)
        op.case({"input": op.uniform((0,))})  # sum 0, mean NaN
        op.case({"input": op.uniform((3, 0))}, dim=1)
        op.case({"input": np.float32([[1, NAN], [INF, 2], [INF, -INF]])}, grad=False, dim=1)
        bad_dims(op, listed=True)

    for name in ("amax", "amin"):
        op = file.op(name, EXACT)
        for shape, attrs in grid + lists:
            op.case({"input": op.uniform(shape)}, **attrs)
        op.case({"input": op.uniform((2053,))})
        # Ties share the gradient evenly.
        op.case({"input": np.float32([[1, 3, 3], [2, 2, 2], [-1, 0, 1]])}, dim=1)
        op.case({"input": op.whole((4, 5, 3), 0, 2)}, dim=[0, 2])
        op.case({"input": op.whole((4, 5), 0, 2)})
        op.case({"input": np.float32([[1, NAN], [INF, 2], [-INF, -INF]])}, grad=False, dim=1)
        bad_dims(op, listed=True)
        op.raises({"input": op.uniform((0,))})
        op.raises({"input": op.uniform((3, 0))}, dim=1)

    for name in ("max", "min"):
        op = file.op(name, EXACT)
        for shape, attrs in grid:
            op.case({"input": op.uniform(shape)}, **attrs)
        op.case({"input": op.uniform((2053,))})
        # Ties share the gradient evenly in the full reduction; along a dimension the first one takes it all.
        op.case({"input": np.float32([[1, 3, 3], [1, 2, 2], [1, 3, 1]])})
        op.case({"input": np.float32([[1, 3, 3], [2, 2, 2], [-1, 0, -1]])}, dim=1)
        op.case({"input": op.whole((4, 5, 3), 0, 2)}, dim=1, keepdim=True)
        op.case({"input": np.float32([[1, NAN, NAN], [INF, 2, INF], [-INF, -INF, -INF]])}, grad=False, dim=1)
        op.case({"input": np.float32([[1, NAN], [INF, 2]])}, grad=False)
        bad_dims(op, listed=False)
        op.raises({"input": op.uniform((0,))})
        op.raises({"input": op.uniform((3, 0))}, dim=1)

    for name in ("argmax", "argmin"):
        op = file.op(name, SAME)
        for shape, attrs in grid + nones:
            op.case({"input": op.uniform(shape)}, **attrs)
        op.case({"input": op.uniform((2053,))})
        # The first of ties, the first NaN.
        op.case({"input": np.float32([[1, 3, 3], [2, 2, 2], [-1, 0, -1]])}, dim=1)
        op.case({"input": op.whole((4, 5, 3), 0, 2)}, dim=0, keepdim=True)
        op.case({"input": op.whole((400,), 0, 2)})
        op.case({"input": np.float32([[1, NAN, NAN], [INF, 2, INF], [-INF, -INF, -INF]])}, dim=1)
        bad_dims(op, listed=False)
        op.raises({"input": op.uniform((0,))})
        op.raises({"input": op.uniform((3, 0))}, dim=1)


def norms(file):
    op = file.op("norm", (2e-5, 1e-5))
    for p in (2, 1, 3, 0.5, 2.5, 0, -1, "inf", "-inf"):
        for shape, attrs in [
            ((7,), {}),
            ((3, 5), {"dim": 1}),
            ((2, 3, 4), {"dim": [0, -1], "keepdim": True}),
            ((2, 3, 4), {"dim": 1, "keepdim": True}),
            ((67, 3), {"dim": 0}),
            ((), {}),
        ]:
            op.case({"input": op.signed(shape, 0.3, 2)}, p=p, **attrs)
    op.case({"input": op.uniform((3, 4))})
    for p in (2, 1, 3, 0.5, 0, "inf"):
        op.case({"input": np.float32([[0, 0, 0], [0, 3, -4]])}, p=p, dim=1)  # zeros have a gradient of 0
    for p in (2, 1, "inf", "-inf"):
        op.case({"input": np.float32([[1, NAN], [INF, 2], [-INF, 3]])}, grad=False, p=p, dim=1)
    op.case({"input": np.zeros((2, 0), np.float32)}, dim=1)
    op.case({"input": np.float32([[2, -2, 1], [1, 1, 1]])}, p="inf", dim=1)  # ties share
    op.raises({"input": op.uniform((2, 3))}, dim=2)
    op.raises({"input": op.uniform((2, 3))}, dim=[0, 0])
    op.raises({"input": np.zeros((2, 0), np.float32)}, p="inf", dim=1)


def aggregates(file):
    grid = [  # (shape, attrs), with one dimension
        ((), {"dim": 0}),
        ((), {"dim": -1, "keepdim": True}),
        ((1,), {"dim": 0}),
        ((7,), {"dim": 0, "keepdim": False}),
        ((3, 5), {"dim": 1}),
        ((3, 5), {"dim": 0, "keepdim": True}),
        ((2, 3, 4), {"dim": -2}),
        ((2, 1, 4), {"dim": 1}),
        ((2, 3, 4, 5), {"dim": 2, "keepdim": True}),
        ((3, 0, 2), {"dim": 0}),
        ((3, 0, 2), {"dim": 1}),
        ((0, 3), {"dim": -1, "keepdim": True}),
        ((37, 3), {"dim": 0}),
        ((3, 41), {"dim": 1}),
    ]
    everything = [((), {}), ((7,), {}), ((2, 3, 4), {}), ((0,), {})]
    lists = [
        ((2, 3, 4), {"dim": [0, 2]}),
        ((2, 3, 4), {"dim": [-1, 0], "keepdim": True}),
        ((2, 3, 4), {"dim": [0, 1, 2]}),
        ((2, 0, 4), {"dim": [1, 2]}),
    ]
    bad = [((2, 3), 2), ((2, 3), -3), ((), 1)]

    op = file.op("prod", (2e-5, 1e-5))
    for shape, attrs in grid + everything:
        op.case({"input": op.signed(shape, 0.7, 1.4)}, **attrs)
    # No zero, one, several: the gradient is the product of the others.
    zeros = np.float32([[2, 3, 0.5], [2, 0, 3], [0, 2, 0], [0, 0, 0], [-1, 4, 0]])
    op.case({"input": zeros}, dim=1)
    op.case({"input": zeros}, dim=0)
    op.case({"input": zeros})
    op.case({"input": np.float32([2, 0, 3])})
    op.case({"input": np.float32([[1, NAN], [INF, 2], [INF, -INF]])}, grad=False, dim=1)
    op.case({"input": np.int64([[1, -2, 3], [4, 0, 6]])}, dim=1)
    op.case({"input": np.bool_([[True, False], [True, True]])}, dim=1)
    for shape, dim in bad:
        op.raises({"input": op.uniform(shape)}, dim=dim)

    op = file.op("logsumexp", POINTWISE)
    for shape, attrs in grid + lists:
        empty = 0 in shape
        op.case({"input": op.uniform(shape, -3, 3)}, grad=not empty, **attrs)
    # PyTorch takes the gradient from the result, which is as far off as numbers of that size are apart.
    op.case({"input": np.float32([[1000, 1000], [-1000, -1001], [80, -80]])}, coarse=True, dim=1)
    op.case({"input": np.float32([[INF, 1], [-INF, 1], [INF, -INF], [-INF, -INF], [NAN, 1]])}, grad=False, dim=1)
    op.case({"input": np.float32([[-INF, 1, 2]])}, dim=1)
    op.case({"input": np.int64([[1, 2, 3], [4, 5, 6]])}, dim=1)
    for shape, dim in bad + [((2, 3), [0, 0])]:
        op.raises({"input": op.uniform(shape)}, dim=dim)

    for name in ("all", "any", "count_nonzero"):
        op = file.op(name, SAME)
        for shape, attrs in grid + everything + lists:
            if name == "count_nonzero":
                attrs = {k: v for k, v in attrs.items() if k != "keepdim"}
            op.case({"input": op.bools(shape)}, grad=False, **attrs)
        op.case({"input": op.whole((5, 3), 0, 1)}, grad=False, dim=1)
        op.case({"input": op.whole((5, 3), -1, 1)}, grad=False, dim=0)
        op.case({"input": op.index((5, 3), 3)}, dim=1)
        op.case({"input": np.float32([[NAN, 1], [INF, 0], [-0.0, 0]])}, grad=False, dim=1)
        for shape, dim in bad + [((2, 3), [0, 0])]:
            op.raises({"input": op.uniform(shape)}, dim=dim)

    for name in ("sum", "amax", "amin"):
        op = file.op(name, SAME)
        op.count = 1000  # named apart from the cases of floats
        op.case({"input": np.bool_([[True, False, True], [False, False, False]])}, dim=1)
        op.case({"input": np.int64([[3, -7, 2], [2_000_000_000, -2_000_000_000, 5]])}, dim=1)


FAMILIES = [reductions, aggregates, norms]
