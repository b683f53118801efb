"""Adaptive pooling."""

import numpy as np

from harness import INF, NAN, POINTWISE

SHAPES = {
    1: [(2, 3, 12), (1, 2, 7), (1, 2, 1), (3, 10), (0, 2, 7)],
    2: [(2, 3, 6, 8), (1, 2, 7, 5), (1, 2, 1, 3), (3, 5, 6), (0, 2, 7, 5)],
    3: [(1, 2, 4, 4, 6), (1, 2, 3, 5, 4), (1, 2, 1, 3, 2), (2, 4, 3, 5), (0, 2, 4, 3, 5)],
}

# What each shape is pooled to; in one dimension None is not allowed.
SIZES = {
    1: [1, [2], 3, 4, 5, 7, 6, [12], 13, 20],
    2: [1, 2, 3, [2, 4], [3, 5], [7, 1], [None, 3], [4, None], [None, None], [9, 8]],
    3: [1, 2, 3, [2, 4, 3], [1, 3, 5], [3, 1, 1], [None, 3, 2], [2, None, None], [None, None, None], [5, 7, 2]],
}

WRONG = {
    1: [((2, 3, 6), [2, 2]), ((2, 3, 6), -1), ((6,), 2), ((1, 1, 1, 6), 2), ((1, 2, 0), 2), ((2, 3, 6), None)],
    2: [
        ((2, 3, 6, 6), [2, 2, 2]),
        ((2, 3, 6, 6), [2]),
        ((2, 3, 6, 6), [2, -1]),
        ((6, 6), 2),
        ((1, 1, 1, 6, 6), 2),
        ((1, 2, 0, 6), 2),
        ((1, 2, 6, 0), 2),
    ],
    3: [
        ((2, 3, 4, 4, 4), [2, 2]),
        ((2, 3, 4, 4, 4), [2, -1, 2]),
        ((4, 4, 4), 2),
        ((1, 1, 1, 4, 4, 4), 2),
        ((1, 2, 0, 4, 4), 2),
        ((1, 2, 4, 4, 0), 2),
        ((1, 0, 4, 4, 4), 2),
    ],
}


def average(file, dims):
    op = file.op(f"adaptive_avg_pool{dims}d", POINTWISE)
    for shape in SHAPES[dims]:
        for size in SIZES[dims]:
            op.case({"input": op.uniform(shape)}, output_size=size)
    shape = SHAPES[dims][1]
    special = op.uniform(shape)
    special.reshape(-1)[[1, 8]] = NAN
    special.reshape(-1)[[3, 9]] = INF
    special.reshape(-1)[6] = -INF
    op.case({"input": special}, grad=False, output_size=3)
    op.case({"input": op.uniform(shape)}, grad=False, output_size=0)
    op.case({"input": op.uniform((0, *shape[2:]))}, output_size=3)
    op.case({"input": op.exact(shape)}, output_size=2)
    for shape, size in WRONG[dims]:
        op.raises({"input": op.uniform(shape)}, output_size=size)


def maximum(file, dims):
    op = file.op(f"adaptive_max_pool{dims}d", (2e-6, 2e-6))
    for shape in SHAPES[dims]:
        for number, size in enumerate(SIZES[dims]):
            op.case({"input": op.uniform(shape)}, output_size=size, return_indices=number % 4 > 0)
    shape = SHAPES[dims][1]
    # Of ties the first, in the order of a scan, takes the gradient; the last NaN wins.
    op.case({"input": op.whole(shape, 0, 1)}, output_size=3, return_indices=True)
    op.case({"input": op.whole(shape, 0, 1)}, output_size=2, return_indices=True)
    op.case({"input": np.zeros(shape, np.float32)}, output_size=4, return_indices=True)
    special = op.uniform(shape)
    special.reshape(-1)[[1, 2, 8]] = NAN
    special.reshape(-1)[[3, 9]] = INF
    special.reshape(-1)[[5, 6]] = -INF
    op.case({"input": special}, grad=False, output_size=3, return_indices=True)
    op.case({"input": special}, grad=False, output_size=1, return_indices=True)
    lowest = np.full(shape, -INF, np.float32)
    op.case({"input": lowest}, grad=False, output_size=2, return_indices=True)
    op.case({"input": op.uniform(shape)}, grad=False, output_size=0, return_indices=True)
    op.case({"input": op.uniform((0, *shape[2:]))}, output_size=3, return_indices=True)
    op.raises({"input": op.uniform((1, 0, *shape[2:]))}, output_size=3)
    for shape, size in WRONG[dims]:
        op.raises({"input": op.uniform(shape)}, output_size=size)


def adaptive_pool1d(file):
    average(file, 1)
    maximum(file, 1)


def adaptive_pool2d(file):
    average(file, 2)
    maximum(file, 2)


def adaptive_avg_pool3d(file):
    average(file, 3)


def adaptive_max_pool3d(file):
    maximum(file, 3)


FAMILIES = [adaptive_pool1d, adaptive_pool2d, adaptive_avg_pool3d, adaptive_max_pool3d]
