"""Picking and placing by index."""

import numpy as np

from harness import INF, NAN, sum_tolerance
from families.shape import shape


def indexing(file):
    op = file.op("gather", (2e-6, 2e-6))
    for shape, index_shape, dim in [
        ((5,), (3,), 0),
        ((5,), (9,), 0),  # repeated: gradients add up
        ((3, 4), (3, 4), 0),
        ((3, 4), (3, 4), 1),
        ((3, 4), (2, 4), 0),
        ((3, 4), (7, 2), 0),  # smaller than the input in the other dimension
        ((3, 4), (2, 6), 1),
        ((3, 4), (3, 1), -1),
        ((2, 3, 4), (2, 5, 4), 1),
        ((2, 3, 4), (1, 2, 6), 2),
        ((2, 3, 4), (3, 2, 1), -3),
        ((2, 3, 4, 5), (2, 2, 3, 4), 2),
        ((2, 3, 4, 5), (1, 3, 4, 7), -1),
        ((), (), 0),
        ((), (1,), 0),
        ((4,), (), 0),
        ((5,), (0,), 0),
        ((3, 4), (0, 4), 0),
        ((3, 4), (2, 0), 1),
        ((10, 13), (10, 1), 1),  # as in losses
    ]:
        size = shape[dim] if shape else 1
        op.case({"input": op.uniform(shape), "index": op.index(index_shape, size)}, dim=dim)
    op.case({"input": op.uniform((3, 4)), "index": np.full((5, 4), 2, np.int64)}, dim=0)
    op.case({"input": op.uniform((2, 3)), "index": np.ones((2, 100), np.int64)}, dim=1, tol=sum_tolerance(100))
    op.case({"input": np.float32([NAN, INF, 1]), "index": np.int64([2, 0, 1])}, grad=False, dim=0)
    op.raises({"input": op.uniform((3, 4)), "index": op.index((3,), 3)}, dim=0)  # ranks
    op.raises({"input": op.uniform((3,)), "index": op.index((3, 1), 3)}, dim=0)
    op.raises({"input": op.uniform((3, 4)), "index": op.index((2, 5), 3)}, dim=0)  # index beyond the input
    op.raises({"input": op.uniform((3, 4)), "index": op.index((4, 2), 3)}, dim=1)
    op.raises({"input": op.uniform((3, 4)), "index": op.index((2, 2), 2)}, dim=2)
    op.raises({"input": op.uniform((3, 4)), "index": op.index((2, 2), 2)}, dim=-3)


FAMILIES = [indexing]
