"""Running sums and products, sorting."""

import numpy as np

from harness import EXACT, INF, NAN, SAME, sum_tolerance


def scans(file):
    grid = [((), 0), ((), -1), ((1,), 0), ((7,), 0), ((3, 5), 0), ((3, 5), 1), ((2, 3, 4), 1), ((2, 3, 4), -1)]
    grid += [((2, 3, 4, 5), 1), ((3, 0, 2), 1), ((0, 3), 1), ((3, 1, 2), 1), ((2, 131), 1), ((131, 2), 0)]
    bad = [((2, 3), 2), ((2, 3), -3), ((), 1)]

    op = file.op("cumsum", lambda args, outputs: sum_tolerance(max(args["input"].numel(), 1)))
    for shape, dim in grid:
        op.case({"input": op.uniform(shape)}, dim=dim)
    op.case({"input": op.exact((1031,))}, dim=0)
    op.case({"input": op.index((3, 4), 9)}, dim=1)
    op.case({"input": op.bools((3, 4))}, dim=1)
    op.case({"input": np.float32([[1, INF, 2, -INF, 1], [1, NAN, 1, 1, 1]])}, grad=False, dim=1)
    for shape, dim in bad:
        op.raises({"input": op.uniform(shape)}, dim=dim)

    op = file.op("cumprod", (5e-5, 2e-5))
    for shape, dim in grid:
        op.case({"input": op.signed(shape, 0.85, 1.15)}, dim=dim)
    # Zeros in all places and numbers.
    zeros = [
        [2, 3, 0.5, 1],
        [0, 2, 3, 1],
        [2, 0, 3, 1],
        [2, 3, 1, 0],
        [2, 0, 0, 3],
        [0, 2, 0, 3],
        [0, 0, 0, 0],
        [1, 0, 2, 0],
    ]
    op.case({"input": np.float32(zeros)}, dim=1)
    op.case({"input": np.float32(zeros)}, dim=0)
    op.case({"input": op.whole((4, 9), 0, 2)}, dim=1)
    op.case({"input": op.index((3, 4), 4)}, dim=1)
    op.case({"input": op.bools((3, 4))}, dim=1)
    for shape, dim in bad:
        op.raises({"input": op.uniform(shape)}, dim=dim)


def sorts(file):
    grid = [  # (shape, attrs)
        ((), {"dim": 0}),
        ((1,), {"dim": 0}),
        ((7,), {}),
        ((7,), {"descending": True}),
        ((3, 5), {"dim": 0}),
        ((3, 5), {"dim": 1, "descending": True}),
        ((2, 3, 4), {"dim": 1}),
        ((2, 3, 4), {"dim": -3, "descending": True}),
        ((2, 1, 4), {"dim": 1}),
        ((3, 0), {"dim": 1}),
        ((0, 3), {"dim": 1, "descending": True}),
        ((2, 17), {"dim": -1}),
        ((2, 33), {"dim": 1, "descending": True}),
        ((100, 2), {"dim": 0}),
    ]
    special = np.float32([[1, NAN, -INF, 2, NAN, INF, -1], [NAN, NAN, 0, 0, INF, INF, -INF]])
    for name in ("sort", "argsort"):
        op = file.op(name, EXACT if name == "sort" else SAME)
        for shape, attrs in grid:
            op.case({"input": op.uniform(shape)}, **attrs)
        # Ties keep their order.
        for descending in (False, True):
            op.case({"input": op.whole((3, 40), 0, 3)}, dim=1, descending=descending, stable=True)
            op.case({"input": op.index((40, 2), 5)}, dim=0, descending=descending, stable=True)
            op.case({"input": op.bools((3, 21))}, dim=1, descending=descending, stable=True)
            op.case({"input": special}, grad=False, dim=1, descending=descending, stable=True)
        op.case({"input": np.float32([[0.0, -0.0, 1, -0.0, 0.0, -1]])}, grad=False, dim=1, stable=True)
        op.raises({"input": op.uniform((2, 3))}, dim=2)
        op.raises({"input": op.uniform((2, 3))}, dim=-3)
        op.raises({"input": op.uniform(())}, dim=1)

    op = file.op("topk", EXACT)
    for shape, attrs in [
        ((), {"k": 1, "dim": 0}),
        ((1,), {"k": 1}),
        ((7,), {"k": 3}),
        ((7,), {"k": 7, "largest": False}),
        ((7,), {"k": 0}),
        ((3, 5), {"k": 2, "dim": 0}),
        ((3, 5), {"k": 2, "dim": 1, "largest": False}),
        ((3, 5), {"k": 1, "dim": -1, "sorted": True}),
        ((2, 3, 4), {"k": 2, "dim": 1}),
        ((2, 3, 4), {"k": 4, "dim": 2}),
        ((2, 1, 4), {"k": 1, "dim": 1}),
        ((0, 3), {"k": 2, "dim": 1}),
        ((3, 0), {"k": 0, "dim": 1}),
        ((2, 37), {"k": 5}),
        ((70, 2), {"k": 6, "dim": 0, "largest": False}),
    ]:
        op.case({"input": op.uniform(shape)}, **attrs)
    op.case({"input": np.float32([[1, NAN, -INF, 2, INF, -1]])}, grad=False, k=3)
    op.case({"input": np.float32([[1, NAN, -INF, 2, INF, -1]])}, grad=False, k=6, largest=False)
    op.case({"input": np.int64([[4, -3, 2, 9], [1, 0, -7, 5]])}, k=2)
    for shape, k, dim in [((3,), 4, 0), ((2, 3), 3, 0), ((2, 3), -1, 1), ((2, 3), 1, 2), ((), 2, 0)]:
        op.raises({"input": op.uniform(shape)}, k=k, dim=dim)
    op.raises({"input": op.bools((3, 4))}, k=1)

    op = file.op("kthvalue", EXACT)
    for shape, attrs in [
        ((), {"k": 1, "dim": 0}),
        ((1,), {"k": 1}),
        ((7,), {"k": 3}),
        ((7,), {"k": 7, "keepdim": True}),
        ((3, 5), {"k": 2, "dim": 0}),
        ((3, 5), {"k": 5, "dim": 1}),
        ((3, 5), {"k": 1, "dim": -1, "keepdim": True}),
        ((2, 3, 4), {"k": 2, "dim": 1}),
        ((2, 3, 4), {"k": 3, "dim": -1, "keepdim": True}),
        ((2, 1, 4), {"k": 1, "dim": 1}),
        ((0, 3), {"k": 2, "dim": 1}),
        ((2, 37), {"k": 19}),
        ((70, 2), {"k": 6, "dim": 0}),
    ]:
        op.case({"input": op.uniform(shape)}, **attrs)
    for k in (1, 4, 6):
        op.case({"input": np.float32([[1, NAN, -INF, 2, INF, -1]])}, grad=False, k=k)
    op.case({"input": np.int64([[4, -3, 2, 9], [1, 0, -7, 5]])}, k=2)
    for shape, k, dim in [((3,), 4, 0), ((3,), 0, 0), ((2, 3), -1, 1), ((2, 3), 1, 2), ((), 2, 0), ((3, 0), 1, 1)]:
        op.raises({"input": op.uniform(shape)}, k=k, dim=dim)


FAMILIES = [scans, sorts]
