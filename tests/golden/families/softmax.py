"""Softmax."""

import numpy as np

from harness import INF, NAN, POINTWISE
from families.shape import shape


def softmax(file):
    for name in ("softmax", "log_softmax"):
        op = file.op(name, POINTWISE)
        for shape, dim in [
            ((), 0),
            ((), -1),
            ((7,), 0),
            ((1,), -1),
            ((3, 5), 0),
            ((3, 5), 1),
            ((3, 1), 1),
            ((2, 3, 4), 0),
            ((2, 3, 4), 1),
            ((2, 3, 4), -1),
            ((2, 3, 4, 5), 0),
            ((2, 3, 4, 5), 1),
            ((2, 3, 4, 5), 2),
            ((2, 3, 4, 5), -1),
            ((2, 0, 3), 2),
            ((2, 0, 3), 1),
        ]:
            op.case({"input": op.uniform(shape, -3, 3)}, dim=dim)
        # Long rows: the gradient subtracts a sum over the row.
        op.case({"input": op.uniform((3, 521), -2, 2)}, dim=1, tol=(2e-5, 1e-5))
        op.case({"input": op.uniform((300, 2), -2, 2)}, dim=0, tol=(2e-5, 1e-5))
        # Large values, near to each other and far apart; constant rows.
        op.case({"input": np.float32(1e4) + op.uniform((3, 5), -3, 3)}, dim=1)
        op.case({"input": np.float32(-1e4) + op.uniform((4, 3), -3, 3)}, dim=0)
        op.case({"input": op.uniform((3, 5), -1e4, 1e4)}, dim=1)
        op.case({"input": np.float32([[1e4, 0, -1e4], [3e38, 3e38, -3e38]])}, dim=-1)
        op.case({"input": np.full((2, 6), 2.5, np.float32)}, dim=-1)
        # Entries of -inf are masked out, and have gradient 0 in softmax.
        masked = op.uniform((4, 5), -3, 3)
        masked[op.bools((4, 5)) & (np.arange(5) > 0)] = -INF
        op.case({"input": masked}, dim=1)
        op.case({"input": masked.T.reshape(1, 5, 2, 2)}, dim=1)
        op.case({"input": np.float32([[-INF, -INF], [INF, 0], [NAN, 0]])}, grad=False, dim=1)  # NaN
        op.raises({"input": op.uniform((2, 3))}, dim=2)
        op.raises({"input": op.uniform((2, 3))}, dim=-3)
        op.raises({"input": op.uniform(())}, dim=1)


FAMILIES = [softmax]
