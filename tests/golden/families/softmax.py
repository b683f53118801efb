"""Softmax."""

import numpy as np

from harness import INF, NAN, POINTWISE
from families.shape import shape


def softmax(file):
    for name in ("softmax", "log_softmax", "softmin"):
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
        for shape in [
            (1, 1),
            (5, 1),
            (2, 2),
            (7, 11),
            (2, 13, 3),
            (1, 17, 1),
            (0, 5),
            (3, 0),
            (2, 3, 0, 4),
            (2, 2, 3, 2, 3),
        ]:
            for dim in (0, len(shape) - 1):
                op.case({"input": op.uniform(shape, -3, 3)}, dim=dim)
        sign = -1 if name == "softmin" else 1
        # Large means, one place that takes all, underflow, ties, and infinities that are a place's certainty.
        op.case({"input": np.float32(1e6) + op.whole((3, 7), -4, 4)}, dim=1)
        op.case({"input": np.float32(-1e6) + op.whole((7, 2), -4, 4)}, dim=0)
        op.case({"input": np.float32([[0, 80, 0], [0, 0, -200], [88, 89, 90]])}, dim=1)
        op.case({"input": op.whole((4, 6), 0, 1)}, dim=1)
        op.case({"input": np.zeros((3, 4), np.float32)}, dim=0)
        op.case({"input": np.float32([[3e38, -3e38], [-3e38, -3e38]])}, dim=1)
        op.case({"input": sign * np.float32([[-INF, 1, 2], [-INF, -INF, 5]])}, dim=1)
        op.case({"input": np.float32([[INF, 1], [INF, INF], [1, 2]])}, grad=False, dim=1)
        op.case({"input": np.float32([[NAN, 1], [1, 2]])}, grad=False, dim=0)
        op.case({"input": np.float32([1e-30, -1e-30, 0])}, dim=-1)
        op.case({"input": np.float32(3.5)}, dim=0)
        op.raises({"input": op.index((2, 3), 5)}, dim=1)
        op.raises({"input": op.uniform((2, 3, 4))}, dim=3)
        op.raises({"input": op.uniform(())}, dim=-2)


FAMILIES = [softmax]
