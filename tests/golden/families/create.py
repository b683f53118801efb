"""Operations that make tensors."""

import numpy as np

from harness import EXACT, SAME


def create(file):
    op = file.op("arange", (1e-6, 2e-6))
    for attrs in [
        {"end": 5},
        {"end": 0},
        {"end": 5.0},
        {"end": 3.1},
        {"start": 1, "end": 5},
        {"start": 0.5, "end": 3},
        {"start": 2, "end": 11, "step": 3},
        {"start": 2, "end": 12, "step": 3},
        {"start": 5, "end": -4, "step": -2},
        {"start": 1, "end": 1, "step": 1},
        {"start": 1, "end": 1, "step": -1},
        {"start": 0.0, "end": 1.0, "step": 0.1},
        {"start": 0.0, "end": 0.9, "step": 0.3},
        {"start": 0.0, "end": 0.3, "step": 0.1},
        {"start": 1.0, "end": -1.0, "step": -0.25},
        {"start": -0.75, "end": 2, "step": 0.37},
        {"start": 0, "end": 7, "step": 0.5},
        {"start": 0.0, "end": 263.0},
        {"start": -100, "end": 100, "step": 7},
        {"start": 3, "end": 4, "step": 100},
    ]:
        op.case({}, **attrs)
    for start, end, step in [(0, 1, 0), (0, 1, -1), (1, 0, 1), (0.0, 1.0, 0.0), (1.0, 0.0, 0.5)]:
        op.raises({}, start=start, end=end, step=step)

    op = file.op("linspace", (1e-6, 2e-6))
    for start, end in [(0, 1), (-2.0, 3.0), (5, -5), (1.5, 1.5)]:
        for steps in (0, 1, 2, 5, 38):
            op.case({}, start=start, end=end, steps=steps)
    op.case({"start": np.float32(-1.5), "end": np.float32(2)}, grad=False, steps=7)
    op.raises({}, start=0, end=1, steps=-1)

    op = file.op("eye", EXACT)
    for n in (0, 1, 2, 5, 11):
        op.case({}, n=n)
        for m in (0, 1, 3, 13):
            op.case({}, n=n, m=m)
    op.raises({}, n=-1)
    op.raises({}, n=2, m=-1)

    sizes = [[], [1], [0], [5], [3, 4], [2, 0, 3], [2, 3, 4, 5], [2, 1, 2, 1, 2, 1]]
    op = file.op("full", EXACT)
    for size, value in zip(sizes * 3, [0.5, -3, 1e30, -0.25, 7, True, False, 1e-3] * 3):
        op.case({}, size=size, fill_value=value)
    op.raises({}, size=[2, -1], fill_value=1.0)
    for name in ("zeros", "ones"):
        op = file.op(name, EXACT)
        for size in sizes + [
            [7, 11],
            [263],
            [1, 1],
            [4, 1, 3],
            [2, 3, 1, 5],
            [0, 0],
            [6, 2],
            [2, 2, 2, 2, 2],
            [17],
            [1, 9],
            [64],
        ]:
            op.case({}, size=size)
        op.raises({}, size=[-2])
    likes = {"zeros_like": [{}], "ones_like": [{}], "full_like": [{"fill_value": 2.5}, {"fill_value": -3}]}
    for name, attributes in likes.items():
        op = file.op(name, EXACT)
        for size in sizes:
            for attrs in attributes:
                op.case({"input": op.uniform(size)}, grad=False, **attrs)
                op.case({"input": op.index(size, 9)}, **attrs)
            op.case({"input": op.bools(size)}, **attributes[-1])

    op = file.op("one_hot", SAME)
    for size in [(), (1,), (7,), (3, 5), (2, 3, 4), (2, 1, 3, 2)]:
        for classes in (4, 9):
            op.case({"input": op.index(size, 4)}, num_classes=classes)
        op.case({"input": op.index(size, 4)}, num_classes=-1)
        op.case({"input": op.index(size, 2)})
    op.case({"input": op.index((0, 3), 4)}, num_classes=5)
    op.case({"input": op.index((3,), 1)}, num_classes=1)
    op.raises({"input": np.int64([0, 4])}, num_classes=4)
    op.raises({"input": np.int64([0, -1])}, num_classes=4)
    op.raises({"input": np.int64([-2, -1])})
    op.raises({"input": op.index((0,), 4)})
    op.raises({"input": op.index((3,), 4)}, num_classes=0)
    op.raises({"input": op.index((3,), 4)}, num_classes=-2)
    op.raises({"input": op.uniform((3,))}, num_classes=4)


FAMILIES = [create]
