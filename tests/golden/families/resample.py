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
            ((2, 1, 4, 5), [8, 10]),
            ((1, 1, 7, 3), [3, 8]),
            ((1, 1, 3, 4), 5),
            ((1, 1, 5, 1), [2, 3]),
            ((0, 3, 5, 4), [2, 2]),
            ((1, 1, 3, 2, 4), [2, 5, 3]),
            ((1, 1, 2, 3, 2), 4),
        ]:
            both(shape, size, mode=mode)
        for shape, scale in [
            ((1, 2, 5), 2.0),
            ((1, 2, 7), 1.7),
            ((1, 2, 9), [0.4]),
            ((1, 1, 5, 7), 2),
            ((1, 1, 6, 7), [0.5, 1.5]),
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
        "bilinear": [((2, 1, 4, 5), [8, 10]), ((1, 1, 7, 3), [3, 8]), ((1, 1, 1, 1), [3, 2]), ((1, 2, 5, 4), [1, 1])]
        + [((0, 2, 5, 3), [3, 3]), ((1, 2, 4, 3), [4, 6]), ((1, 1, 9, 2), [4, 5]), ((1, 1, 3, 8), [3, 8])],
        "trilinear": [((1, 1, 3, 2, 4), [2, 5, 3]), ((1, 1, 1, 1, 1), [2, 3, 2]), ((1, 1, 4, 3, 5), [1, 1, 1])]
        + [((0, 2, 2, 2, 2), [3, 3, 3]), ((1, 1, 2, 3, 2), [4, 6, 4]), ((1, 2, 5, 2, 3), [3, 2, 5])],
        "bicubic": [((2, 1, 4, 5), [8, 10]), ((1, 1, 7, 3), [3, 8]), ((1, 1, 1, 1), [3, 2]), ((1, 2, 5, 4), [1, 1])]
        + [((0, 2, 5, 3), [3, 3]), ((1, 2, 4, 3), [4, 6]), ((1, 1, 9, 2), [4, 5]), ((1, 1, 3, 8), [3, 8])],
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
            ((1, 1, 9, 7), [3, 4]),
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
        # PyTorch 2.15 repeats the first row where the new width is 1 and the height is not.
        for scale in (0.5, [0.37, 0.6], [1.4, 0.45]):
            scaled((1, 1, 9, 7), scale, mode=mode, antialias=True)
            scaled((1, 1, 9, 7), scale, mode=mode, antialias=True, recompute_scale_factor=True)

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
    op.case({"input": op.uniform((1, 2, 4))}, grad=False, size=0, mode="area")
    op.case({"input": op.uniform((1, 0, 4, 3))}, grad=False, size=[2, 2], mode="area")


def grid_sample(file):
    op = file.op("grid_sample", (2e-5, 2e-5))
    paddings = ("zeros", "border", "reflection")
    modes = ("bilinear", "nearest", "bicubic")
    for mode in modes:
        for padding in paddings:
            for align in (False, True):
                for shape, grid, reach in [
                    ((2, 3, 4, 5), (2, 3, 2, 2), 1.0),
                    ((1, 2, 3, 7), (1, 4, 5, 2), 2.6),
                    ((1, 1, 1, 4), (1, 2, 3, 2), 1.4),
                ]:
                    args = {"input": op.uniform(shape), "grid": op.uniform(grid, -reach, reach)}
                    op.case(args, mode=mode, padding_mode=padding, align_corners=align)
    for mode in ("bilinear", "nearest"):
        for padding in paddings:
            for align in (False, True):
                args = {"input": op.uniform((2, 2, 3, 2, 4)), "grid": op.uniform((2, 2, 1, 3, 3), -1.6, 1.6)}
                op.case(args, mode=mode, padding_mode=padding, align_corners=align)
    pair = {"input": op.uniform((1, 2, 4, 4)), "grid": op.uniform((1, 3, 3, 2))}
    op.case(pair)
    op.case(pair, align_corners=None)
    op.case({"input": op.uniform((0, 2, 4, 4)), "grid": op.uniform((0, 3, 3, 2))}, align_corners=False)
    op.case({"input": op.uniform((1, 0, 4, 4)), "grid": op.uniform((1, 3, 3, 2))}, grad=False, align_corners=False)
    op.case({"input": op.uniform((1, 2, 4, 4)), "grid": op.uniform((1, 0, 3, 2))}, grad=False, align_corners=False)
    # All places on one element.
    op.case({"input": op.uniform((1, 2, 3, 3)), "grid": np.full((1, 5, 7, 2), 0.1, np.float32)}, align_corners=True)
    # Corners, centres, and far outside.
    exact = np.array([[-1, -1], [1, 1], [0, 0], [-1, 1], [0.5, -0.5], [3, -5], [1000, 0.25]], np.float32)
    special = np.array([[NAN, 0], [0, NAN], [INF, 0], [0, -INF], [0.25, 0.5]], np.float32)
    for mode in modes:
        for padding in paddings:
            attrs = {"mode": mode, "padding_mode": padding}
            args = {"input": op.uniform((1, 2, 3, 5)), "grid": exact[None, None]}
            op.case(args, grad=False, align_corners=True, **attrs)
            args = {"input": op.uniform((1, 2, 3, 5)), "grid": special[None, None]}
            op.case(args, grad=False, align_corners=False, **attrs)
            if mode != "bicubic":
                deep = np.concatenate([special, np.zeros((5, 1), np.float32)], 1)
                args = {"input": op.uniform((1, 2, 2, 3, 5)), "grid": deep[None, None, None]}
                op.case(args, grad=False, align_corners=False, **attrs)
    for shape, grid, attrs in [
        ((1, 1, 4, 4), (2, 3, 3, 2), {}),
        ((1, 1, 4, 4), (1, 3, 3, 3), {}),
        ((1, 1, 4, 4), (1, 3, 3, 3, 2), {}),
        ((1, 1, 0, 4), (1, 3, 3, 2), {}),
        ((1, 4, 4), (1, 3, 3, 2), {}),
        ((1, 1, 4, 4, 4), (1, 3, 3, 2), {}),
        ((1, 1, 4, 4), (1, 3, 3, 2), {"mode": "linear"}),
        ((1, 1, 4, 4), (1, 3, 3, 2), {"padding_mode": "circular"}),
    ]:
        op.raises({"input": op.uniform(shape), "grid": op.uniform(grid)}, align_corners=False, **attrs)


def affine_grid(file):
    op = file.op("affine_grid")
    for size in [[2, 3, 4, 5], [1, 1, 1, 1], [1, 2, 1, 7], [3, 1, 2, 2], [1, 1, 13, 3], [2, 1, 3, 1]]:
        for align in (False, True, None):
            op.case({"theta": op.uniform((size[0], 2, 3))}, size=size, align_corners=align)
    for size in [[2, 3, 2, 4, 5], [1, 1, 1, 1, 1], [1, 2, 3, 1, 7]]:
        for align in (False, True):
            op.case({"theta": op.uniform((size[0], 3, 4))}, size=size, align_corners=align)
    for theta, size in [
        ((0, 2, 3), [0, 1, 2, 2]),
        ((1, 2, 3), [1, 1, 2, 0]),
        ((1, 2, 3), [1, 0, 2, 2]),
        ((2, 2, 3), [1, 1, 2, 2]),
        ((1, 2, 3), [1, 1, 2, 2, 2]),
        ((1, 3, 4), [1, 1, 2, 2]),
        ((1, 2, 3), [1, 1, 2]),
        ((2, 3), [1, 1, 2, 2]),
    ]:
        op.raises({"theta": op.uniform(theta)}, size=size, align_corners=False)


FAMILIES = [interpolate, grid_sample, affine_grid]
