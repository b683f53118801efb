"""Pooling of lines and volumes."""

import numpy as np

from harness import INF, NAN, POINTWISE


def ties_and_specials(op, small, large):
    """Ties, padding that must not win, NaN and infinities: `small` and `large` are shapes."""
    op.case({"input": op.whole(large, 0, 2)}, kernel_size=2, return_indices=True)
    op.case({"input": op.whole(large, 0, 1)}, kernel_size=3, stride=1, padding=1, return_indices=True)
    op.case({"input": np.zeros(small, np.float32)}, kernel_size=3, stride=2, padding=1, return_indices=True)
    op.case({"input": op.uniform(small, -3, -2)}, kernel_size=3, stride=1, padding=1, return_indices=True)
    special = op.uniform(small)
    flat = special.reshape(-1)
    flat[[1, 3, special.size // 2]] = NAN
    flat[[2, special.size // 3]] = INF
    flat[[4, special.size - 1]] = -INF
    op.case({"input": special}, grad=False, kernel_size=2, stride=1, return_indices=True)
    op.case({"input": special}, grad=False, kernel_size=3, stride=1, padding=1, return_indices=True)
    op.case({"input": special}, grad=False, kernel_size=3, stride=2, ceil_mode=True, return_indices=True)
    lowest = np.full(small, -INF, np.float32)
    op.case({"input": lowest}, grad=False, kernel_size=3, stride=2, padding=1, return_indices=True)


def pool1d(file):
    op = file.op("max_pool1d", (2e-6, 2e-6))  # gradients of overlapping windows add up
    for shape, attrs in [
        ((2, 3, 12), {"kernel_size": 2}),
        ((2, 3, 13), {"kernel_size": 2}),
        ((1, 1, 1), {"kernel_size": 1}),
        ((2, 3, 12), {"kernel_size": [3]}),
        ((2, 3, 13), {"kernel_size": 3, "stride": 1}),
        ((2, 3, 13), {"kernel_size": 3, "stride": 2, "padding": 1}),
        ((2, 2, 17), {"kernel_size": 5, "stride": 3, "padding": 2}),
        ((1, 2, 19), {"kernel_size": 2, "stride": 5}),
        ((1, 2, 19), {"kernel_size": 3, "dilation": 2}),
        ((1, 2, 19), {"kernel_size": 3, "stride": 1, "dilation": 3, "padding": 1}),
        ((2, 3, 13), {"kernel_size": 2, "ceil_mode": True}),
        ((2, 3, 14), {"kernel_size": 3, "stride": 2, "ceil_mode": True}),
        ((2, 3, 7), {"kernel_size": 3, "stride": 3, "padding": 1, "ceil_mode": True}),
        ((1, 2, 5), {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True}),
        ((1, 1, 3), {"kernel_size": 4, "ceil_mode": True}),
        ((1, 2, 11), {"kernel_size": 2, "stride": 2, "dilation": 3, "ceil_mode": True}),
        ((3, 12), {"kernel_size": 2}),
        ((3, 13), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
        ((2, 3, 7), {"kernel_size": 7}),
        ((0, 3, 6), {"kernel_size": 2}),
        ((2, 3, 6), {"kernel_size": [2], "stride": [1], "padding": [1], "dilation": [2]}),
        ((2, 3, 6), {"kernel_size": 2, "stride": None, "padding": 0, "dilation": 1, "ceil_mode": False}),
        ((1, 2, 67), {"kernel_size": 17, "stride": 4, "padding": 8}),
    ]:
        op.case({"input": op.uniform(shape)}, **attrs)
        op.case({"input": op.uniform(shape)}, return_indices=True, **attrs)
    ties_and_specials(op, (1, 2, 11), (2, 3, 16))
    for shape, attrs in [
        ((1, 1, 6), {"kernel_size": 2, "padding": 2}),
        ((1, 1, 6), {"kernel_size": 3, "padding": 2, "dilation": 2}),
        ((1, 1, 6), {"kernel_size": 2, "padding": -1}),
        ((1, 1, 6), {"kernel_size": 0}),
        ((1, 1, 6), {"kernel_size": 2, "stride": 0}),
        ((1, 1, 6), {"kernel_size": 2, "dilation": 0}),
        ((1, 1, 4), {"kernel_size": 5}),
        ((1, 1, 4), {"kernel_size": 3, "dilation": 2}),
        ((1, 1, 6), {"kernel_size": [2, 2]}),
        ((6,), {"kernel_size": 2}),
        ((1, 1, 1, 6), {"kernel_size": 2}),
        ((1, 0, 6), {"kernel_size": 2}),
        ((1, 2, 0), {"kernel_size": 2}),
    ]:
        op.raises({"input": op.uniform(shape)}, **attrs)

    op = file.op("avg_pool1d", POINTWISE)
    for shape, attrs in [
        ((2, 3, 12), {"kernel_size": 2}),
        ((2, 3, 13), {"kernel_size": [3]}),
        ((1, 1, 1), {"kernel_size": 1}),
        ((2, 3, 13), {"kernel_size": 3, "stride": 1}),
        ((1, 2, 19), {"kernel_size": 2, "stride": 5}),
        ((2, 3, 13), {"kernel_size": 3, "stride": 2, "padding": 1}),
        ((2, 2, 17), {"kernel_size": 5, "stride": 3, "padding": 2}),
        ((2, 2, 16), {"kernel_size": 4, "stride": 3, "padding": 2}),
        ((3, 12), {"kernel_size": 2}),
        ((3, 13), {"kernel_size": 3, "stride": 2, "padding": 1}),
        ((2, 3, 7), {"kernel_size": 7}),
        ((0, 3, 6), {"kernel_size": 2}),
        ((1, 2, 67), {"kernel_size": 17, "stride": 4, "padding": 8}),
    ]:
        for more in [
            {},
            {"ceil_mode": True},
            {"count_include_pad": False},
            {"ceil_mode": True, "count_include_pad": False},
        ]:
            op.case({"input": op.uniform(shape)}, **attrs, **more)
    for shape, attrs in [
        ((1, 1, 6), {"kernel_size": 2, "padding": 2}),
        ((1, 1, 6), {"kernel_size": 2, "padding": -1}),
        ((1, 1, 6), {"kernel_size": 0}),
        ((1, 1, 6), {"kernel_size": 2, "stride": 0}),
        ((1, 1, 4), {"kernel_size": 5}),
        ((1, 1, 6), {"kernel_size": [2, 2]}),
        ((6,), {"kernel_size": 2}),
        ((1, 1, 1, 6), {"kernel_size": 2}),
        ((1, 0, 6), {"kernel_size": 2}),
    ]:
        op.raises({"input": op.uniform(shape)}, **attrs)


def max_pool3d(file):
    op = file.op("max_pool3d", (2e-6, 2e-6))
    for shape, attrs in [
        ((2, 2, 4, 4, 6), {"kernel_size": 2}),
        ((1, 2, 5, 3, 7), {"kernel_size": 2}),
        ((1, 1, 1, 1, 1), {"kernel_size": 1}),
        ((1, 2, 4, 5, 6), {"kernel_size": [2, 3, 1]}),
        ((1, 2, 4, 5, 6), {"kernel_size": [3, 1, 2], "stride": [1, 2, 2]}),
        ((1, 2, 4, 5, 6), {"kernel_size": [3, 1, 1], "stride": 1}),
        ((1, 2, 4, 5, 6), {"kernel_size": [1, 2, 3], "stride": 1}),
        ((1, 2, 4, 4, 5), {"kernel_size": 3, "stride": 1, "padding": 1}),
        ((1, 2, 5, 5, 5), {"kernel_size": 3, "stride": 2, "padding": 1}),
        ((1, 1, 5, 6, 7), {"kernel_size": [4, 2, 3], "stride": [2, 1, 3], "padding": [2, 1, 0]}),
        ((1, 1, 7, 7, 7), {"kernel_size": 2, "stride": 4}),
        ((1, 1, 5, 6, 7), {"kernel_size": 3, "dilation": 2}),
        ((1, 1, 5, 6, 7), {"kernel_size": 2, "stride": 1, "dilation": [1, 2, 3], "padding": [1, 0, 1]}),
        ((1, 2, 5, 3, 7), {"kernel_size": 2, "ceil_mode": True}),
        ((1, 2, 4, 5, 6), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
        ((1, 1, 5, 5, 5), {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True}),
        ((2, 4, 4, 6), {"kernel_size": 2}),
        ((2, 3, 5, 5), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
        ((1, 2, 3, 4, 5), {"kernel_size": [3, 4, 5]}),
        ((0, 2, 4, 4, 4), {"kernel_size": 2}),
    ]:
        op.case({"input": op.uniform(shape)}, **attrs)
        op.case({"input": op.uniform(shape)}, return_indices=True, **attrs)
    ties_and_specials(op, (1, 2, 3, 3, 4), (1, 2, 4, 4, 5))
    for shape, attrs in [
        ((1, 1, 4, 4, 4), {"kernel_size": 2, "padding": 2}),
        ((1, 1, 4, 4, 4), {"kernel_size": [3, 2, 2], "padding": [1, 1, 2]}),
        ((1, 1, 6, 6, 6), {"kernel_size": 3, "padding": 2, "dilation": 2}),
        ((1, 1, 4, 4, 4), {"kernel_size": 2, "padding": -1}),
        ((1, 1, 4, 4, 4), {"kernel_size": 0}),
        ((1, 1, 4, 4, 4), {"kernel_size": 2, "stride": 0}),
        ((1, 1, 4, 4, 4), {"kernel_size": 2, "dilation": 0}),
        ((1, 1, 2, 4, 4), {"kernel_size": 3}),
        ((1, 1, 4, 4, 4), {"kernel_size": 3, "dilation": 2}),
        ((1, 1, 4, 4, 4), {"kernel_size": [2, 2]}),
        ((4, 4, 4), {"kernel_size": 2}),
        ((1, 1, 1, 4, 4, 4), {"kernel_size": 2}),
        ((1, 0, 4, 4, 4), {"kernel_size": 2}),
        ((1, 1, 0, 4, 4), {"kernel_size": 2}),
    ]:
        op.raises({"input": op.uniform(shape)}, **attrs)


def avg_pool3d(file):
    op = file.op("avg_pool3d", POINTWISE)
    for shape, attrs in [
        ((2, 2, 4, 4, 6), {"kernel_size": 2}),
        ((1, 1, 1, 1, 1), {"kernel_size": 1}),
        ((1, 2, 4, 5, 6), {"kernel_size": [3, 1, 2], "stride": [1, 2, 2]}),
        ((1, 2, 4, 3, 5), {"kernel_size": [3, 1, 1], "stride": 1}),
        ((1, 2, 4, 3, 5), {"kernel_size": [1, 2, 3], "stride": 1}),
        ((1, 2, 5, 4, 5), {"kernel_size": 3, "stride": 2, "padding": 1}),
        ((1, 1, 5, 6, 7), {"kernel_size": [4, 2, 3], "stride": [2, 1, 3], "padding": [2, 1, 0]}),
        ((2, 3, 5, 4), {"kernel_size": 2, "padding": 1}),
        ((0, 2, 4, 4, 4), {"kernel_size": 2}),
    ]:
        for more in [
            {},
            {"ceil_mode": True},
            {"count_include_pad": False},
            {"ceil_mode": True, "count_include_pad": False},
            {"divisor_override": 3},
            {"ceil_mode": True, "divisor_override": -2},
        ]:
            op.case({"input": op.uniform(shape)}, **attrs, **more)
    for shape, attrs in [
        ((1, 1, 4, 4, 4), {"kernel_size": 2, "padding": 2}),
        ((1, 1, 4, 4, 4), {"kernel_size": 2, "padding": -1}),
        ((1, 1, 4, 4, 4), {"kernel_size": 0}),
        ((1, 1, 4, 4, 4), {"kernel_size": 2, "stride": 0}),
        ((1, 1, 2, 4, 4), {"kernel_size": 3}),
        ((1, 1, 4, 3, 4), {"kernel_size": 4, "padding": 1}),  # of the input without its padding
        ((1, 1, 4, 4, 3), {"kernel_size": 4, "ceil_mode": True}),
        ((1, 1, 4, 4, 4), {"kernel_size": 2, "divisor_override": 0}),
        ((1, 1, 4, 4, 4), {"kernel_size": [2, 2]}),
        ((4, 4, 4), {"kernel_size": 2}),
        ((1, 1, 1, 4, 4, 4), {"kernel_size": 2}),
        ((1, 0, 4, 4, 4), {"kernel_size": 2}),
    ]:
        op.raises({"input": op.uniform(shape)}, **attrs)


FAMILIES = [pool1d, max_pool3d, avg_pool3d]
