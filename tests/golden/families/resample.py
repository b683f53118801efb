"""Interpolation and sampling."""

import numpy as np

from harness import INF, NAN

# Sums of a few products; PyTorch computes the weights in float32.
WEIGHTS = (1e-5, 1e-5)


def interpolate(file):
    """Each mode has 20 calls or more."""
    op = file.op("interpolate", WEIGHTS)

    def both(shape, size, **attrs):
        op.case({"input": op.uniform(shape)}, size=size, **attrs)

    def scaled(shape, scale, **attrs):
        op.case({"input": op.uniform(shape)}, scale_factor=scale, **attrs)

    for mode in ("nearest", "nearest-exact", "area"):
        for shape, size in [
            ((2, 3, 5), 10),
            ((1, 2, 7), 3),
            ((1, 1, 1), 4),
            ((2, 1, 6), [1]),
            ((0, 2, 5), 3),
            ((1, 2, 4), 4),
            ((2, 3, 4, 5), [8, 10]),
            ((1, 2, 7, 5), [3, 11]),
            ((1, 2, 3, 4), 5),
            ((1, 1, 5, 1), [2, 3]),
            ((0, 3, 5, 4), [2, 2]),
            ((1, 2, 3, 2, 4), [2, 5, 3]),
            ((1, 1, 2, 3, 3), 4),
        ]:
            both(shape, size, mode=mode)
        for shape, scale in [
            ((1, 2, 5), 2.0),
            ((1, 2, 7), 1.7),
            ((1, 2, 9), [0.4]),
            ((1, 2, 5, 7), 2),
            ((1, 2, 6, 7), [0.5, 1.5]),
            ((1, 1, 10, 3), [0.31, 2.6]),
            ((1, 2, 4, 4), 1.1),
            ((1, 1, 3, 4, 2), [2.0, 0.6, 1.5]),
        ]:
            scaled(shape, scale, mode=mode)
            if mode != "area":
                scaled(shape, scale, mode=mode, recompute_scale_factor=True)

    modes = {
        "linear": [((2, 3, 5), [10]), ((1, 2, 7), [3]), ((1, 1, 1), [4]), ((2, 1, 6), [1]), ((0, 2, 5), [3])]
        + [((1, 2, 4), [4]), ((1, 1, 2), [7]), ((1, 1, 13), [5]), ((2, 2, 3), [8])],
        "bilinear": [((2, 3, 4, 5), [8, 10]), ((1, 2, 7, 5), [3, 11]), ((1, 1, 1, 1), [3, 2]), ((1, 2, 5, 4), [1, 1])]
        + [((0, 2, 5, 3), [3, 3]), ((1, 2, 4, 3), [4, 6]), ((1, 1, 9, 2), [4, 5]), ((2, 1, 3, 8), [3, 8])],
        "trilinear": [((1, 2, 3, 2, 4), [2, 5, 3]), ((1, 1, 1, 1, 1), [2, 3, 2]), ((1, 1, 4, 3, 5), [1, 1, 1])]
        + [((0, 2, 2, 2, 2), [3, 3, 3]), ((2, 1, 2, 3, 2), [4, 6, 4]), ((1, 2, 5, 2, 3), [3, 2, 5])],
        "bicubic": [((2, 3, 4, 5), [8, 10]), ((1, 2, 7, 5), [3, 11]), ((1, 1, 1, 1), [3, 2]), ((1, 2, 5, 4), [1, 1])]
        + [((0, 2, 5, 3), [3, 3]), ((1, 2, 4, 3), [4, 6]), ((1, 1, 9, 2), [4, 5]), ((2, 1, 3, 8), [3, 8])],
    }
    for mode, sizes in modes.items():
        for shape, size in sizes:
            both(shape, size, mode=mode)
            both(shape, size, mode=mode, align_corners=True)
        shape = (1, 2, 5, 4, 3)[: len(sizes[0][0])]
        spatial = len(shape) - 2
        for scale in (2.0, 1.7, 0.6):
            scaled(shape, scale, mode=mode)
            scaled(shape, scale, mode=mode, align_corners=True)
            scaled(shape, [scale, 1.3, 0.9][:spatial], mode=mode, recompute_scale_factor=True, align_corners=False)
        for wrong in (4, 3, 5):
            if wrong != len(shape):
                op.raises({"input": op.uniform((1, 1, 2, 3, 2)[:wrong])}, size=2, mode=mode)

    for mode in ("bilinear", "bicubic", "lanczos"):
        for shape, size in [
            ((1, 2, 9, 7), [3, 4]),
            ((1, 1, 11, 5), [2, 5]),
            ((2, 1, 6, 13), [5, 3]),
            ((1, 2, 4, 3), [7, 5]),
            ((1, 1, 8, 8), [8, 8]),
            ((1, 1, 5, 9), [1, 1]),
            ((1, 1, 1, 1), [2, 3]),
            ((0, 2, 5, 3), [3, 3]),
            ((1, 1, 12, 3), [4, 9]),
        ]:
            both(shape, size, mode=mode, antialias=True)
            if mode != "lanczos":
                both(shape, size, mode=mode, antialias=True, align_corners=True)
        for scale in (0.5, [0.37, 0.6], [1.4, 0.25]):
            scaled((1, 2, 9, 7), scale, mode=mode, antialias=True)
            scaled((1, 2, 9, 7), scale, mode=mode, antialias=True, recompute_scale_factor=True)

    special = op.uniform((1, 1, 4, 5))
    special[0, 0, 1, 2], special[0, 0, 3, 0], special[0, 0, 0, 4] = INF, NAN, -INF
    for mode in ("nearest", "nearest-exact", "area", "bilinear"):
        op.case({"input": special}, grad=False, size=[7, 9], mode=mode)
    op.case({"input": special[0]}, grad=False, size=5, mode="linear")

    for shape, attrs in [
        ((1, 2, 4), {"size": 0}),
        ((1, 2, 4), {"scale_factor": 0.2}),
        ((1, 2, 4), {"scale_factor": -1.0}),
        ((1, 0, 4), {"size": 2}),
        ((1, 2, 0), {"size": 2}),
        ((1, 2, 0), {"size": 2, "mode": "area"}),
        ((0, 0, 4), {"size": 2}),
        ((2, 4), {"size": 2}),
        ((2, 4), {"size": 2, "mode": "area"}),
        ((1, 1, 2, 2, 2, 2), {"size": 2}),
        ((1, 1, 4, 4), {"size": 2, "scale_factor": 2.0}),
        ((1, 1, 4, 4), {}),
        ((1, 1, 4, 4), {"size": 2, "recompute_scale_factor": True}),
        ((1, 1, 4, 4), {"size": 2, "align_corners": False}),
        ((1, 1, 4, 4), {"size": 2, "align_corners": True, "mode": "area"}),
        ((1, 1, 4, 4), {"size": [2]}),
        ((1, 1, 4, 4), {"size": [2, 2, 2], "mode": "bilinear"}),
        ((1, 1, 4, 4), {"scale_factor": [2.0], "mode": "bilinear"}),
        ((1, 1, 4, 4), {"scale_factor": [2.0, 1.0, 1.0], "mode": "bilinear"}),
        ((1, 1, 4, 4), {"size": -2, "mode": "bilinear"}),
        ((1, 1, 4, 4), {"size": 2, "antialias": True}),
        ((1, 1, 4), {"size": 2, "antialias": True, "mode": "linear"}),
        ((1, 1, 4, 4), {"size": 2, "mode": "lanczos"}),
        ((1, 1, 4, 4), {"size": 2, "mode": "lanczos", "antialias": True, "align_corners": True}),
        ((1, 1, 4, 4), {"size": 2, "mode": "cubic"}),
    ]:
        op.raises({"input": op.uniform(shape)}, **attrs)
    # A pool may be empty.
    op.case({"input": op.uniform((1, 2, 4))}, size=0, mode="area")
    op.case({"input": op.uniform((1, 0, 4, 3))}, size=[2, 2], mode="area")


FAMILIES = [interpolate]
