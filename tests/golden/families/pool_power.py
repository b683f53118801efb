"""Power-average pooling, and pooling of whole channels."""

import numpy as np

from harness import POINTWISE, STEEP

SHAPES = {
    1: [(2, 3, 12), (3, 13), (0, 2, 8)],
    2: [(1, 2, 6, 8), (2, 5, 7), (0, 2, 6, 6)],
    3: [(1, 2, 4, 4, 6), (2, 3, 5, 4), (0, 2, 4, 4, 4)],
}


def lp_pool(file):
    for dims in (1, 2, 3):
        op = file.op(f"lp_pool{dims}d", STEEP)
        for shape in SHAPES[dims]:
            for number, norm in enumerate([2, 1, 3, 1.5, -1, 0.5, 4.25, "inf", "-inf"]):
                # The square of a sum doubles its error.
                tol = (5e-5, 5e-6) if norm == 0.5 else STEEP
                op.case({"input": op.uniform(shape, 0.2, 1.5)}, tol=tol, norm_type=norm, kernel_size=2)
                if number < 6:
                    more = {"kernel_size": 3, "stride": 1 + number % 2, "ceil_mode": True}
                    op.case({"input": op.uniform(shape, 0.2, 1.5)}, tol=tol, norm_type=norm, **more)
        shape = SHAPES[dims][1]
        last = 1 if dims == 1 else [2] * (dims - 1) + [3]
        op.case({"input": op.uniform(shape, 0.2, 1.5)}, norm_type=2.5, kernel_size=last)
        op.case({"input": op.uniform(shape, 0.2, 1.5)}, norm_type=2, kernel_size=2, stride=None)
        # Values of either sign, whose sum may be zero or negative.
        op.case({"input": op.uniform(shape)}, norm_type=2, kernel_size=2, stride=1)
        op.case({"input": op.uniform(shape)}, norm_type=1, kernel_size=2, stride=1)
        op.case({"input": op.uniform(shape)}, norm_type="inf", kernel_size=2, stride=1)
        op.case({"input": op.uniform(shape)}, norm_type="-inf", kernel_size=2, ceil_mode=True)
        op.case({"input": np.zeros(shape, np.float32)}, norm_type=2, kernel_size=2)
        op.case({"input": np.zeros(shape, np.float32)}, norm_type=1, kernel_size=2)
        op.case({"input": -op.uniform(shape, 0.2, 1.5)}, norm_type=3, kernel_size=2, grad=False)
        for attrs in [
            {"norm_type": 0, "kernel_size": 2},
            {"norm_type": 2, "kernel_size": 0},
            {"norm_type": 2, "kernel_size": 2, "stride": 0},
            {"norm_type": 2, "kernel_size": 9 if dims > 1 else 14},
            {"norm_type": 2, "kernel_size": [2] * (dims + 1)},
        ]:
            op.raises({"input": op.uniform(shape)}, **attrs)
        op.raises({"input": op.uniform(shape[2:])}, norm_type=2, kernel_size=2)
        op.raises({"input": op.uniform((1, 1, *SHAPES[dims][0]))}, norm_type=2, kernel_size=2)


def global_pool(file):
    for name, tol in [("global_avg_pool", POINTWISE), ("global_max_pool", (2e-6, 2e-6))]:
        op = file.op(name, tol)
        for shape in [(2, 3, 7), (2, 3, 4, 5), (1, 2, 1, 1), (1, 2, 3, 4, 2), (0, 2, 3, 3), (1, 1, 13, 17), (5, 1, 2)]:
            op.case({"input": op.uniform(shape)})
            op.case({"input": op.whole(shape, 0, 2)})
            op.case({"input": op.uniform(shape, -3, -2)})
        for shape in [(2, 3), (3,), (), (1, 2, 0), (1, 2, 3, 0)]:
            op.raises({"input": op.uniform(shape)})


FAMILIES = [lp_pool, global_pool]
