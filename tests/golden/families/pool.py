"""Pooling."""

import numpy as np

from harness import INF, NAN, POINTWISE


def max_pool2d(file):
    op = file.op("max_pool2d", (2e-6, 2e-6))  # gradients of overlapping windows add up
    for shape, attrs in [
        ((2, 3, 6, 8), {"kernel_size": 2}),
        ((2, 3, 7, 9), {"kernel_size": 2}),  # the last row and column are dropped
        ((2, 3, 7, 9), {"kernel_size": 2, "return_indices": True}),
        ((1, 1, 1, 1), {"kernel_size": 1}),
        ((2, 3, 6, 8), {"kernel_size": [3, 2]}),
        ((2, 3, 6, 8), {"kernel_size": [3, 2], "stride": [1, 2], "return_indices": True}),
        ((2, 3, 6, 8), {"kernel_size": 3, "stride": 1}),  # overlapping
        ((2, 3, 7, 7), {"kernel_size": 3, "stride": 2, "padding": 1}),
        ((2, 3, 7, 7), {"kernel_size": 3, "stride": 2, "padding": 1, "return_indices": True}),
        ((2, 2, 6, 7), {"kernel_size": [4, 3], "stride": [2, 1], "padding": [2, 1]}),
        ((2, 2, 6, 7), {"kernel_size": 4, "stride": 3, "padding": [2, 0], "return_indices": True}),
        ((1, 2, 9, 9), {"kernel_size": 2, "stride": 4}),  # gaps
        ((1, 2, 9, 9), {"kernel_size": 3, "dilation": 2}),
        ((1, 2, 9, 8), {"kernel_size": 3, "stride": 1, "dilation": [1, 2], "return_indices": True}),
        ((1, 2, 9, 8), {"kernel_size": [3, 2], "stride": 2, "padding": 1, "dilation": [2, 3], "return_indices": True}),
        ((2, 3, 7, 9), {"kernel_size": 2, "ceil_mode": True}),
        ((2, 3, 7, 9), {"kernel_size": 2, "ceil_mode": True, "return_indices": True}),
        ((2, 3, 8, 8), {"kernel_size": 3, "stride": 2, "ceil_mode": True, "return_indices": True}),
        ((2, 3, 8, 7), {"kernel_size": 3, "stride": 3, "padding": 1, "ceil_mode": True}),
        # A last window that would begin in the padding at the end is dropped.
        ((1, 2, 5, 5), {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True, "return_indices": True}),
        ((1, 1, 4, 5), {"kernel_size": 1, "stride": 2, "ceil_mode": True}),
        ((1, 2, 8, 10), {"kernel_size": 2, "stride": 2, "dilation": 3, "ceil_mode": True, "return_indices": True}),
        ((3, 6, 8), {"kernel_size": 2}),  # unbatched
        ((3, 7, 7), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "return_indices": True}),
        ((2, 3, 5, 7), {"kernel_size": [5, 7]}),  # one window
        ((0, 3, 6, 6), {"kernel_size": 2}),  # nothing in the batch
        ((0, 3, 6, 6), {"kernel_size": 3, "stride": 2, "padding": 1, "return_indices": True}),
        ((2, 3, 6, 6), {"kernel_size": [2], "stride": [1], "padding": [1], "dilation": [2]}),
        ((2, 3, 6, 6), {"kernel_size": 2, "stride": None, "padding": 0, "dilation": 1}),
        ((2, 3, 6, 6), {"kernel_size": 3, "stride": 2, "ceil_mode": False, "return_indices": False}),
        ((1, 3, 28, 28), {"kernel_size": 2, "stride": 2}),
        ((1, 4, 17, 19), {"kernel_size": 3, "stride": 2, "padding": 1}),
    ]:
        op.case({"input": op.uniform(shape)}, **attrs)
    # Of ties the first, in the order of rows, takes the gradient.
    op.case({"input": op.whole((2, 3, 7, 8), 0, 2)}, kernel_size=2, return_indices=True)
    op.case({"input": op.whole((2, 3, 7, 8), 0, 1)}, kernel_size=3, stride=1, padding=1, return_indices=True)
    op.case({"input": np.zeros((1, 2, 5, 5), np.float32)}, kernel_size=3, stride=2, padding=1, return_indices=True)
    # Padding is never the maximum.
    op.case({"input": op.uniform((1, 2, 4, 4), -3, -2)}, kernel_size=3, stride=1, padding=1, return_indices=True)
    # NaN wins; a window of nothing but -inf yields the index of its first element inside the input.
    special = op.uniform((1, 1, 5, 5))
    special[0, 0, 1, 1] = special[0, 0, 3, 4] = NAN
    special[0, 0, 2, 2] = INF
    op.case({"input": special}, grad=False, kernel_size=2, stride=1, return_indices=True)
    lowest = np.full((1, 1, 4, 4), -INF, np.float32)
    op.case({"input": lowest}, grad=False, kernel_size=3, stride=2, padding=1, return_indices=True)
    for shape, attrs in [
        ((1, 1, 6, 6), {"kernel_size": 2, "padding": 2}),  # more than half of the kernel
        ((1, 1, 6, 6), {"kernel_size": [4, 3], "padding": [2, 2]}),
        ((1, 1, 6, 6), {"kernel_size": 3, "padding": 2, "dilation": 2}),  # of the kernel without its dilation
        ((1, 1, 6, 6), {"kernel_size": 2, "padding": -1}),
        ((1, 1, 6, 6), {"kernel_size": 0}),
        ((1, 1, 6, 6), {"kernel_size": 2, "stride": 0}),
        ((1, 1, 6, 6), {"kernel_size": 2, "dilation": 0}),
        ((1, 1, 4, 6), {"kernel_size": 5}),  # no output
        ((1, 1, 4, 6), {"kernel_size": 3, "dilation": 2}),
        ((1, 1, 6, 6), {"kernel_size": [2, 2, 2]}),
        ((6, 6), {"kernel_size": 2}),
        ((1, 1, 1, 6, 6), {"kernel_size": 2}),
        ((1, 0, 6, 6), {"kernel_size": 2}),
    ]:
        op.raises({"input": op.uniform(shape)}, **attrs)

    # All rules at once, for planes of every remainder.
    for number in range(12):
        kernel, stride = [1 + number % 4, 2 + number % 3], [1 + number % 3, 1 + number % 2]
        attrs = {"kernel_size": kernel, "stride": stride, "padding": [kernel[0] // 2, kernel[1] // 2]}
        shape = (1, 2, 5 + number % 5, 7 + number % 3)
        op.case({"input": op.uniform(shape)}, ceil_mode=number % 2 == 0, return_indices=True, **attrs)


def avg_pool2d(file):
    op = file.op("avg_pool2d", POINTWISE)
    for shape, attrs in [
        ((2, 3, 6, 8), {"kernel_size": 2}),
        ((2, 3, 7, 9), {"kernel_size": 2}),
        ((1, 1, 1, 1), {"kernel_size": 1}),
        ((2, 3, 6, 8), {"kernel_size": [3, 2]}),
        ((2, 3, 6, 8), {"kernel_size": [3, 2], "stride": [1, 2]}),
        ((2, 3, 6, 8), {"kernel_size": 3, "stride": 1}),
        ((1, 2, 9, 9), {"kernel_size": 2, "stride": 4}),
        ((2, 3, 7, 7), {"kernel_size": 3, "stride": 2, "padding": 1}),
        ((2, 3, 7, 7), {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}),
        ((2, 2, 6, 7), {"kernel_size": [4, 3], "stride": [2, 1], "padding": [2, 1]}),
        ((2, 2, 6, 7), {"kernel_size": [4, 3], "stride": [2, 1], "padding": [2, 1], "count_include_pad": False}),
        ((2, 3, 7, 9), {"kernel_size": 2, "ceil_mode": True}),  # what is beyond the padding does not count
        ((2, 3, 7, 9), {"kernel_size": 2, "ceil_mode": True, "count_include_pad": False}),
        ((2, 3, 8, 8), {"kernel_size": 3, "stride": 2, "ceil_mode": True}),
        ((2, 3, 8, 7), {"kernel_size": 3, "stride": 3, "padding": 1, "ceil_mode": True}),
        ((2, 3, 8, 7), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
        ((2, 3, 8, 7), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False}),
        ((1, 2, 5, 5), {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True}),
        ((1, 2, 8, 9), {"kernel_size": [4, 5], "stride": [3, 3], "padding": [2, 1], "ceil_mode": True}),
        ((2, 3, 6, 8), {"kernel_size": 2, "divisor_override": 3}),
        ((2, 3, 7, 7), {"kernel_size": 3, "stride": 2, "padding": 1, "divisor_override": 1}),
        ((2, 3, 8, 7), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "divisor_override": 5}),
        ((2, 3, 5, 7), {"kernel_size": 3, "padding": 1, "count_include_pad": False, "divisor_override": 5}),
        ((1, 2, 6, 6), {"kernel_size": 2, "stride": 1, "divisor_override": -2}),
        ((3, 6, 8), {"kernel_size": 2}),  # unbatched
        ((3, 7, 7), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False}),
        ((2, 3, 5, 7), {"kernel_size": [5, 7]}),
        ((0, 3, 6, 6), {"kernel_size": 2}),
        ((2, 3, 6, 6), {"kernel_size": [3], "stride": [1], "padding": [1]}),
        ((2, 3, 6, 6), {"kernel_size": 2, "stride": None, "padding": 0, "divisor_override": None}),
        ((2, 3, 6, 6), {"kernel_size": 3, "stride": 2, "ceil_mode": False, "count_include_pad": True}),
        ((1, 3, 28, 28), {"kernel_size": 2, "stride": 2}),
        ((1, 4, 17, 19), {"kernel_size": 3, "stride": 2, "padding": 1}),
    ]:
        op.case({"input": op.uniform(shape)}, **attrs)
    for shape, attrs in [
        ((1, 1, 6, 6), {"kernel_size": 2, "padding": 2}),
        ((1, 1, 6, 6), {"kernel_size": [4, 3], "padding": [2, 2]}),
        ((1, 1, 6, 6), {"kernel_size": 2, "padding": -1}),
        ((1, 1, 6, 6), {"kernel_size": 0}),
        ((1, 1, 6, 6), {"kernel_size": 2, "stride": 0}),
        ((1, 1, 4, 6), {"kernel_size": 5}),
        ((1, 1, 6, 6), {"kernel_size": 2, "divisor_override": 0}),
        ((1, 1, 6, 6), {"kernel_size": [2, 2, 2]}),
        ((6, 6), {"kernel_size": 2}),
        ((1, 1, 1, 6, 6), {"kernel_size": 2}),
    ]:
        op.raises({"input": op.uniform(shape)}, **attrs)
    # All rules at once, for planes of every remainder.
    for number in range(18):
        kernel, stride = [1 + number % 4, 2 + number % 3], [1 + number % 3, 1 + number % 2]
        attrs = {"kernel_size": kernel, "stride": stride, "padding": [kernel[0] // 2, kernel[1] // 2]}
        shape = (1, 2, 5 + number % 5, 7 + number % 3)
        more = {"ceil_mode": number % 2 == 0, "count_include_pad": number % 3 == 0}
        op.case({"input": op.uniform(shape)}, **attrs, **more)


FAMILIES = [max_pool2d, avg_pool2d]
