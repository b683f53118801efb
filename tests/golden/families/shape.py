"""The same elements in other places."""

import numpy as np

from harness import EXACT


def shape(file):
    op = file.op("pad", EXACT)
    for size, pads in [
        ((7,), [2, 3]),
        ((3, 4), [1, 2]),
        ((3, 4), [1, 2, 0, 3]),
        ((3, 4), [-1, -2]),
        ((3, 4), [-2, 3, 1, -1]),
        ((3, 4), [-2, -2]),  # an empty result
        ((3, 4), []),
        ((3, 0), [2, 1]),
        ((0, 4), [1, 1]),
        ((2, 3, 4, 5), [1, 2, 3, 4]),
        ((2, 3, 4, 5), [0, 0, 0, 0, 1, 2]),
        ((2, 3, 4, 5), [1, 1, 0, 2, 0, 0, 3, 1]),  # the batch as well
        ((2, 2, 3, 2, 3), [1, 0, 0, 1, 2, 0, 0, 1, 1, 1]),
    ]:
        op.case({"input": op.uniform(size)}, pad=pads)
        op.case({"input": op.uniform(size)}, pad=pads, mode="constant", value=-1.5)
    op.case({"input": op.index((2, 3), 9)}, pad=[1, 2])
    op.case({"input": op.bools((2, 3))}, pad=[1, 2], value=1.0)
    sums = (1e-5, 1e-6)  # gradients add up
    for mode in ("reflect", "replicate", "circular"):
        for size, pads in [
            ((2, 5), [2, 1]),
            ((3, 2, 5), [0, 4]),
            ((0, 2, 5), [1, 2]),
            ((3, 4, 5), [1, 2, 3, 0]),
            ((2, 3, 4, 5), [4, 3, 2, 3]),
            ((2, 3, 4, 5), [0, 0, 1, 2]),
            ((2, 3, 4, 5), [-1, -2, 0, -1]),
            ((2, 3, 4, 5), [-2, 2, 2, -1]),
            ((0, 3, 4, 5), [1, 2, 1, 0]),
            ((2, 3, 4, 5), [1, 2, 3, 1, 1, 0]),
            ((2, 2, 3, 4, 5), [1, 2, 0, 1, 2, 2]),
            ((2, 5), [0, 0]),
        ]:
            op.case({"input": op.uniform(size)}, tol=sums, pad=pads, mode=mode)
        op.raises({"input": op.uniform((4,))}, pad=[1, 1], mode=mode)
        op.raises({"input": op.uniform((4, 4))}, pad=[1, 1, 1, 1], mode=mode)
        op.raises({"input": op.uniform((2, 3, 4, 4))}, pad=[1, 1], mode=mode)
        op.raises({"input": op.uniform((4, 4))}, pad=[], mode=mode)
        op.raises({"input": op.uniform((4, 4))}, pad=[1, 1], mode=mode, value=1.0)
        op.raises({"input": op.uniform((4, 4))}, pad=[-3, -2], mode=mode)
    for size, pads, mode in [
        ((2, 4), [9, 8], "replicate"),
        ((2, 1), [2, 3], "replicate"),
        ((1, 4), [-4, 3], "replicate"),
        ((1, 4), [3, -3], "replicate"),
        ((1, 4), [-4, 3], "reflect"),
        ((2, 4), [3, 3], "reflect"),
        ((2, 4), [4, 4], "circular"),
        ((2, 4), [-2, -2], "circular"),
        ((2, 1), [1, 1], "circular"),
    ]:
        op.case({"input": op.uniform(size)}, tol=sums, pad=pads, mode=mode)
    for size, pads, mode in [
        ((2, 4), [4, 1], "reflect"),
        ((2, 4), [1, 4], "reflect"),
        ((2, 4, 5), [1, 1, 0, 4], "reflect"),
        ((2, 4), [5, 0], "circular"),
        ((2, 4), [0, 5], "circular"),
        ((2, 4), [-2, -2], "reflect"),
        ((2, 4), [-2, -2], "replicate"),
        ((2, 3, 0), [1, 1], "replicate"),
        ((2, 3, 0), [0, 0], "reflect"),
        ((2, 0, 4), [1, 1], "reflect"),
        ((2, 4), [1], "constant"),
        ((4,), [1, 1, 1, 1], "constant"),
        ((2, 4), [-3, -2], "constant"),
        ((2, 4), [-6, 5], "constant"),
    ]:
        op.raises({"input": op.uniform(size)}, pad=pads, mode=mode)

    op = file.op("cat", EXACT)
    for dim, shapes in [
        (0, [(4,)]),
        (0, [(3,), (5,)]),
        (-1, [(3,), (1,), (2,)]),
        (0, [(2, 3), (4, 3)]),
        (1, [(2, 3), (2, 4)]),
        (-2, [(2, 3), (1, 3), (5, 3)]),
        (0, [(2, 3, 4), (1, 3, 4)]),
        (1, [(2, 3, 4), (2, 1, 4), (2, 2, 4)]),
        (2, [(2, 3, 4), (2, 3, 3)]),
        (-3, [(2, 3, 4), (3, 3, 4)]),
        (1, [(2, 3, 4, 5), (2, 2, 4, 5)]),
        (3, [(2, 3, 4, 5), (2, 3, 4, 1)]),
        (2, [(1, 2, 3, 2, 2), (1, 2, 2, 2, 2)]),
        (1, [(2, 3), (2, 0), (2, 2)]),
        (0, [(0, 3), (2, 3)]),
        (0, [(0, 3), (0, 3)]),
        (1, [(0, 3), (0, 2)]),
        (1, [(0,), (2, 3)]),  # an empty vector goes with anything
        (2, [(2, 2, 3), (0,), (2, 2, 1), (0,)]),
        (0, [(0,), (0,)]),
        (1, [(0,), (0,)]),
        (1, [(2, 1)] * 9 + [(2, 3)] * 3),
        (0, [(1, 2)] * 20),
    ]:
        op.case({"tensors": [op.uniform(s) for s in shapes]}, dim=dim)
    op.case({"tensors": [op.uniform((2, 3)), op.uniform((1, 3))]})
    op.case({"tensors": [op.index((2, 3), 9), op.index((2, 1), 9)]}, dim=1)
    op.case({"tensors": [op.bools((2, 3)), op.bools((2, 1))]}, dim=1)
    for dim, shapes in [
        (1, [(2, 3), (3, 3)]),
        (0, [(2, 3), (2, 4)]),
        (0, [(2, 3), (2,)]),
        (0, [(0, 3), (2, 4)]),
        (0, [(), ()]),
        (2, [(2, 3), (2, 3)]),
        (-3, [(2, 3), (2, 3)]),
        (2, [(0,), (2, 3)]),
    ]:
        op.raises({"tensors": [op.uniform(s) for s in shapes]}, dim=dim)


def joins(file):
    op = file.op("stack", EXACT)
    for dim, count, size in [
        (0, 2, ()),
        (-1, 3, ()),
        (0, 3, (4,)),
        (1, 3, (4,)),
        (-1, 2, (2, 3)),
        (-2, 2, (2, 3)),
        (-3, 2, (2, 3)),
        (2, 1, (2, 3, 4)),
        (1, 9, (2, 3)),
        (1, 2, (0, 3)),
        (0, 2, (0,)),
        (0, 1, (1,)),
        (2, 3, (1, 1)),
        (-1, 4, (2, 1, 3)),
        (0, 13, (2,)),
        (3, 2, (2, 2, 2)),
        (1, 2, (2, 3, 2, 2)),
        (-5, 2, (2, 1, 2, 2)),
    ]:
        op.case({"tensors": [op.uniform(size) for _ in range(count)]}, dim=dim)
    op.case({"tensors": [op.uniform((2, 3)), op.uniform((2, 3))]})
    op.raises({"tensors": [op.uniform((2, 3)), op.uniform((2, 1))]}, dim=0)
    op.raises({"tensors": [op.uniform((3,)), op.uniform((0,))]}, dim=0)
    op.raises({"tensors": [op.uniform((3,)), op.uniform((3,))]}, dim=2)
    op.raises({"tensors": [op.uniform((3,)), op.uniform((3,))]}, dim=-3)

    op = file.op("split", EXACT)
    for size, sections, dim in [
        ((7,), 3, 0),
        ((7,), 7, -1),
        ((7,), 9, 0),
        ((2, 6), 2, 1),
        ((5, 2, 3), 2, -3),
        ((0, 3), 2, 0),
        ((0, 3), 0, 0),
        ((7,), [2, 5], 0),
        ((2, 7, 3), [2, 0, 4, 1], 1),
        ((2, 3), [3], -1),
        ((1,), 1, 0),
        ((13,), 1, 0),
        ((2, 1, 5), 3, 2),
        ((2, 3, 4, 5), [1, 1, 2], 2),
        ((0,), [0, 0], 0),
    ]:
        op.case({"tensor": op.uniform(size)}, split_size_or_sections=sections, dim=dim)
    op.case({"tensor": op.uniform((5, 2))}, split_size_or_sections=2)
    for size, sections, dim in [
        ((4,), 0, 0),
        ((4,), -1, 0),
        ((4,), [1, 2], 0),
        ((4,), [3, 2], 0),
        ((4,), [5, -1], 0),
        ((4,), 2, 1),
        ((), 1, 0),
    ]:
        op.raises({"tensor": op.uniform(size)}, split_size_or_sections=sections, dim=dim)

    op = file.op("chunk", EXACT)
    for size, chunks, dim in [
        ((7,), 3, 0),
        ((5,), 4, 0),
        ((7,), 4, -1),
        ((3,), 5, 0),
        ((2, 6), 3, 1),
        ((2, 6), 1, 1),
        ((4, 2, 3), 2, -3),
        ((0, 2), 3, 0),
        ((2, 0), 2, 0),
        ((1,), 1, 0),
        ((1,), 7, 0),
        ((13,), 5, 0),
        ((2, 5, 3), 2, 1),
        ((2, 3, 4, 7), 3, -1),
        ((2, 1, 2, 6, 2), 4, 3),
        ((9, 2), 9, 0),
        ((9, 2), 10, 0),
        ((263,), 2, 0),
    ]:
        op.case({"input": op.uniform(size)}, chunks=chunks, dim=dim)
    op.raises({"input": op.uniform((4,))}, chunks=0, dim=0)
    op.raises({"input": op.uniform((4,))}, chunks=2, dim=1)
    op.raises({"input": op.uniform(())}, chunks=2, dim=0)


def rearranged(file):
    op = file.op("flip", EXACT)
    for size, dims in [
        ((5,), [0]),
        ((3, 4), [-1]),
        ((3, 4), [0, 1]),
        ((3, 4), []),
        ((2, 3, 4, 5), [1, 3]),
        ((2, 3, 4, 5), [-1, 0]),
        ((2, 1, 2, 3, 2), [0, 2, 4]),
        ((0, 3), [0, 1]),
        ((), [0]),
        ((), []),
        ((1,), [0]),
        ((263,), [0]),
        ((1, 7), [0, 1]),
        ((2, 3, 4), [0]),
        ((2, 3, 4), [-2]),
        ((2, 3, 4), [0, 1, 2]),
        ((2, 1, 2, 1, 2, 3), [5, 0]),
        ((7, 11), [1, 0]),
    ]:
        op.case({"input": op.uniform(size)}, dims=dims)
    op.raises({"input": op.uniform((2, 3))}, dims=[0, -2])
    op.raises({"input": op.uniform((2, 3))}, dims=[2])

    op = file.op("roll", EXACT)
    for size, shifts, dims in [
        ((5,), 2, 0),
        ((3, 4), -1, 1),
        ((3, 4), [1, 2], [0, 1]),
        ((3, 4), [1, 1], [1, 1]),
        ((3, 4), 9, 0),
        ((2, 3, 4, 5), [1, -3], [-1, 0]),
        ((2, 2, 3, 2, 3), [1, 1, 2, 1], [0, 1, 2, 4]),
        ((0, 3), 1, 1),
        ((1,), 3, 0),
        ((263,), -100, 0),
        ((2, 3, 4), [0, 5, -2], [2, 1, 0]),
        ((7, 11), 11, 1),
        ((2, 1, 2, 1, 2, 3), [1, 2], [5, 0]),
        ((3, 4), [-1, -2], [-1, -2]),
    ]:
        op.case({"input": op.uniform(size)}, shifts=shifts, dims=dims)
    op.case({"input": op.uniform((3, 4))}, shifts=5)
    op.case({"input": op.uniform(())}, shifts=1)
    op.raises({"input": op.uniform((3, 4))}, shifts=[1, 2], dims=[0])
    op.raises({"input": op.uniform((3, 4))}, shifts=[1, 2])
    op.raises({"input": op.uniform((3, 4))}, shifts=1, dims=2)
    op.raises({"input": op.uniform(())}, shifts=1, dims=0)

    op = file.op("pixel_shuffle", EXACT)
    for size, factor in [
        ((1, 4, 2, 3), 2),
        ((2, 8, 3, 2), 2),
        ((2, 9, 1, 2), 3),
        ((4, 2, 3), 2),
        ((1, 2, 4, 2, 3), 2),
        ((2, 3, 2, 2), 1),
        ((0, 4, 2, 2), 2),  # PyTorch has no gradient of nothing here
        ((1, 16, 1, 1), 4),
        ((1, 1, 1), 1),
        ((1, 4, 5, 1), 2),
        ((3, 12, 2, 2), 2),
        ((2, 1, 4, 1, 2), 2),
        ((1, 25, 1, 2), 5),
        ((1, 18, 2, 1), 3),
        ((2, 1, 1, 4, 1, 1), 2),
        ((4, 7, 3), 2),
    ]:
        op.case({"input": op.uniform(size)}, grad=size[0] > 0, upscale_factor=factor)
    for size, factor in [((1, 6, 2, 2), 2), ((4, 2), 2), ((1, 4, 2, 2), 0), ((1, 4, 2, 2), -2)]:
        op.raises({"input": op.uniform(size)}, upscale_factor=factor)

    op = file.op("pixel_unshuffle", EXACT)
    for size, factor in [
        ((1, 1, 4, 6), 2),
        ((2, 2, 6, 4), 2),
        ((2, 1, 3, 6), 3),
        ((1, 4, 6), 2),
        ((1, 2, 1, 4, 6), 2),
        ((2, 3, 2, 2), 1),
        ((3, 1, 2, 6), 2),
        ((1, 1, 4, 4), 4),
        ((1, 1, 1), 1),
        ((1, 1, 10, 2), 2),
        ((3, 3, 4, 4), 2),
        ((2, 1, 1, 2, 4), 2),
        ((1, 1, 5, 10), 5),
        ((2, 9, 3), 3),
        ((2, 1, 1, 1, 2, 2), 2),
        ((1, 2, 2, 14), 2),
    ]:
        # Not of nothing: PyTorch leaves an empty batch in the input's shape.
        op.case({"input": op.uniform(size)}, downscale_factor=factor)
    for size, factor in [((1, 1, 5, 4), 2), ((1, 1, 4, 5), 2), ((4, 2), 2), ((1, 1, 2, 2), 0)]:
        op.raises({"input": op.uniform(size)}, downscale_factor=factor)

    op = file.op("channel_shuffle", EXACT)
    for size, groups in [
        ((1, 4, 2, 2), 2),
        ((2, 6, 3, 2), 3),
        ((2, 6, 3, 2), 2),
        ((2, 6, 3), 3),
        ((1, 4, 2, 1, 2), 2),
        ((2, 3, 2, 2), 1),
        ((2, 3, 2, 2), 3),
        ((0, 4, 2, 2), 2),
        ((1, 1, 1), 1),
        ((1, 8, 1, 3), 4),
        ((3, 9, 2), 3),
        ((2, 12, 1, 2), 6),
        ((2, 5, 3, 1), 5),
        ((1, 6, 2, 2, 2), 3),
        ((2, 4, 1, 2, 1, 2), 2),
        ((1, 10, 7), 2),
        ((2, 10, 3), 5),
    ]:
        op.case({"input": op.uniform(size)}, groups=groups)
    for size, groups in [((1, 4, 2, 2), 3), ((2, 4), 2), ((1, 4, 2, 2), 0)]:
        op.raises({"input": op.uniform(size)}, groups=groups)


def views(file):
    def add(name, cases, raises=(), key=None):
        """Cases of a shape and attributes, or of a shape and the one attribute `key`."""
        op = file.op(name, (1e-5, 1e-5) if name == "expand" else EXACT)  # gradients of `expand` add up
        attrs = (lambda given: given) if key is None else (lambda given: {} if given is None else {key: given})
        for size, given in cases:
            op.case({"input": op.uniform(size)}, **attrs(given))
        size, given = cases[1]
        op.case({"input": op.index(size, 9)}, **attrs(given))
        op.case({"input": op.bools(size)}, **attrs(given))
        for size, given in raises:
            op.raises({"input": op.uniform(size)}, **attrs(given))

    fits = [
        ((6,), [2, 3]),
        ((2, 3), [3, 2]),
        ((2, 3), [-1]),
        ((2, 3, 4), [4, -1]),
        ((2, 3, 4), [2, 3, 2, 2]),
        ((), [1]),
        ((), []),
        ((1,), []),
        ((1, 1), [1]),
        ((0, 3), [0]),
        ((0, 3), [3, 0, 2]),
        ((0,), [-1, 2]),
        ((2, 3, 4, 5), [6, 20]),
        ((2, 3, 4, 5), [-1, 5]),
        ((263,), [263, 1]),
        ((2, 1, 2, 1, 2, 1), [8]),
        ((8,), [1, 2, 1, 2, 1, 2]),
        ((5, 7), [7, 5]),
        ((4, 3), [2, -1, 3]),
    ]
    misfits = [((2, 3), [4]), ((2, 3), [-1, 4]), ((2, 3), [-1, -1]), ((2, 3), [-2, 3]), ((0,), [-1, 0]), ((), [0])]
    add("reshape", fits, misfits, "shape")
    add("view", fits, misfits, "size")
    add(
        "permute",
        [
            ((), []),
            ((5,), [0]),
            ((2, 3), [1, 0]),
            ((2, 3), [0, 1]),
            ((2, 3), [-1, -2]),
            ((2, 3, 4), [2, 0, 1]),
            ((2, 3, 4), [-1, 0, 1]),
            ((2, 3, 4, 5), [0, 2, 3, 1]),
            ((2, 3, 4, 5), [3, 2, 1, 0]),
            ((2, 3, 4, 5), [0, 3, 1, 2]),
            ((2, 1, 3, 2, 2), [4, 2, 0, 3, 1]),
            ((2, 1, 2, 1, 2, 3), [5, 0, 4, 1, 3, 2]),
            ((0, 3), [1, 0]),
            ((1, 7), [1, 0]),
            ((7, 11), [1, 0]),
        ],
        [((2, 3), [0]), ((2, 3), [0, 0]), ((2, 3), [0, 2]), ((2, 3), [0, -2]), ((2,), [1]), ((2, 3), [0, 1, 2])],
        "dims",
    )
    pairs = [((), 0, -1), ((5,), 0, 0), ((2, 3), 0, 1), ((2, 3), 1, 0), ((2, 3), -1, -2), ((2, 3, 4), 0, 2)]
    pairs += [((2, 3, 4), 1, -1), ((2, 3, 4), 1, 1), ((2, 3, 4, 5), 1, 2), ((2, 3, 4, 5), -4, 3), ((0, 3), 0, 1)]
    pairs += [((1, 7), 0, 1), ((2, 1, 2, 3, 2), 4, 1), ((2, 1, 2, 1, 2, 3), 0, 5), ((7, 11), 0, 1), ((3, 3), 0, -1)]
    wrong = [((2, 3), 0, 2), ((2, 3), -3, 0), ((), 0, 1), ((5,), 1, 0)]
    dims = lambda cases: [(size, {"dim0": a, "dim1": b}) for size, a, b in cases]
    add("transpose", dims(pairs), dims(wrong))
    sizes = [(), (1,), (5,), (0,), (2, 3), (3, 2), (1, 1), (1, 7), (7, 1), (0, 3), (3, 0), (5, 5), (11, 13), (2, 2)]
    sizes += [(4,), (263,), (13, 2)]
    add("t", [(size, {}) for size in sizes], [((2, 3, 4), {}), ((1, 1, 1), {})])
    spans = [((), {}), ((5,), {}), ((2, 3), {}), ((2, 3, 4), {}), ((0, 3), {}), ((2, 3, 4, 5), {"start_dim": 1})]
    spans += [
        ((2, 3, 4, 5), {"start_dim": 1, "end_dim": 2}),
        ((2, 3, 4, 5), {"end_dim": -2}),
        ((2, 3), {"start_dim": 1}),
    ]
    spans += [((2, 3, 4), {"start_dim": -2}), ((2, 3, 4), {"start_dim": 0, "end_dim": 0}), ((7, 1), {"start_dim": -1})]
    spans += [((2, 1, 2, 1, 2, 3), {"start_dim": 2, "end_dim": 4}), ((3, 0, 2), {"start_dim": 1}), ((1, 1), {})]
    spans += [((263,), {"start_dim": 0}), ((), {"start_dim": 0, "end_dim": -1})]
    wrong = [((2, 3), {"start_dim": 1, "end_dim": 0}), ((2, 3), {"start_dim": 2}), ((2, 3), {"end_dim": -3})]
    add("flatten", spans, wrong)
    splits = [((6,), 0, [2, 3]), ((6,), -1, [-1, 3]), ((6,), 0, [6]), ((2, 6), 1, [3, 2]), ((2, 6), -2, [2, 1])]
    splits += [((2, 12, 3), 1, [2, 2, 3]), ((2, 12, 3), 1, [2, -1, 3]), ((0, 6), 0, [0, 1]), ((0, 6), 1, [2, 3])]
    splits += [((1,), 0, [1, 1, 1]), ((8, 5), 0, [-1, 2, 2]), ((2, 3, 4, 6), 3, [2, 3]), ((2, 3, 4, 6), -2, [2, 2])]
    splits += [((263,), 0, [263, 1]), ((5, 7), 0, [-1])]
    wrong = [
        ((6,), 0, [4]),
        ((6,), 0, [-1, 4]),
        ((6,), 0, [-1, -1]),
        ((6,), 1, [6]),
        ((6,), 0, []),
        ((6,), 0, [-2, 3]),
    ]
    parts = lambda cases: [(size, {"dim": dim, "sizes": sizes}) for size, dim, sizes in cases]
    add("unflatten", parts(splits), parts(wrong))
    add(
        "squeeze",
        [
            ((), None),
            ((1,), None),
            ((1, 3, 1), None),
            ((2, 3), None),
            ((1, 1, 1), None),
            ((1, 0), None),
            ((1, 3, 1), 0),
            ((1, 3, 1), 1),
            ((1, 3, 1), -1),
            ((), 0),
            ((), -1),
            ((1,), 0),
            ((1, 3, 1, 2), [0, 2]),
            ((1, 3, 1, 2), [0, 1]),
            ((1, 3, 1, 2), [-2]),
            ((2, 1, 2, 1, 2, 1), [1, 3, 5]),
            ((2, 1, 2, 1, 2, 1), 5),
        ],
        [((1, 3), 2), ((1, 3), -3), ((1, 3), [0, 0]), ((1, 3), [0, 2])],
        "dim",
    )
    add(
        "unsqueeze",
        [
            ((), 0),
            ((), -1),
            ((5,), 0),
            ((5,), 1),
            ((5,), -1),
            ((5,), -2),
            ((2, 3), 0),
            ((2, 3), 1),
            ((2, 3), 2),
            ((2, 3), -3),
            ((0, 3), 1),
            ((2, 3, 4), 3),
            ((2, 3, 4, 5), 2),
            ((2, 1, 2, 3, 2), -1),
            ((2, 1, 2, 3, 2), 0),
        ],
        [((), 1), ((5,), 2), ((5,), -3), ((2, 3), 4)],
        "dim",
    )
    add(
        "expand",
        [
            ((), [3]),
            ((1,), [4]),
            ((), []),
            ((), [2, 3]),
            ((3, 1), [3, 4]),
            ((3, 1), [-1, 4]),
            ((1, 3), [2, 3]),
            ((1, 3), [2, -1]),
            ((3,), [2, 3]),
            ((3,), [4, 2, -1]),
            ((2, 1, 3), [2, 5, 3]),
            ((1,), [0]),
            ((0, 1), [0, 3]),
            ((1, 1, 1), [2, 3, 4]),
            ((2, 1, 2, 1), [2, 3, 2, 2]),
            ((1, 2, 1), [2, 1, 3, 2, 2]),
        ],
        [((3,), [4]), ((2, 3), [3]), ((3,), [-1, 3]), ((2, 3), [2, 4]), ((3,), [0]), ((3,), [-2])],
        "size",
    )
    op = file.op("narrow", EXACT)
    for size, dim, start, length in [
        ((7,), 0, 2, 3),
        ((7,), 0, 0, 7),
        ((7,), -1, 3, 0),
        ((7,), 0, 7, 0),
        ((7,), 0, -3, 2),
        ((3, 5), 0, 1, 2),
        ((3, 5), 1, 1, 3),
        ((3, 5), -2, -1, 1),
        ((2, 3, 4), 1, 0, 2),
        ((2, 3, 4), 2, 3, 1),
        ((2, 3, 4), 0, 1, 1),
        ((2, 3, 4, 5), 2, 1, 2),
        ((2, 3, 4, 5), 3, -5, 5),
        ((0, 4), 1, 1, 2),
        ((0, 4), 0, 0, 0),
        ((2, 1, 2, 3, 2), 3, 1, 2),
        ((263,), 0, 100, 63),
    ]:
        op.case({"input": op.uniform(size)}, dim=dim, start=start, length=length)
    op.case({"input": op.index((3, 5), 9)}, dim=1, start=1, length=3)
    op.case({"input": op.uniform((3, 5)), "start": np.int64(1)}, dim=1, length=3)
    for size, dim, start, length in [
        ((7,), 0, 5, 3),
        ((7,), 0, 8, 0),
        ((7,), 1, 0, 1),
        ((), 0, 0, 1),
        ((7,), 0, 0, -1),
    ]:
        op.raises({"input": op.uniform(size)}, dim=dim, start=start, length=length)
    op = file.op("slice", EXACT)
    for size, attrs in [
        ((7,), {}),
        ((7,), {"start": 2}),
        ((7,), {"end": 3}),
        ((7,), {"end": -2}),
        ((7,), {"start": -3}),
        ((7,), {"start": -30, "end": 30}),
        ((7,), {"step": 2}),
        ((7,), {"start": 1, "step": 3}),
        ((7,), {"start": 5, "end": 2}),
        ((7,), {"step": 100}),
        ((3, 5), {"dim": 1, "start": 1, "end": 4, "step": 2}),
        ((3, 5), {"dim": -2, "start": 1}),
        ((3, 5), {"dim": -1, "start": -4, "end": -1}),
        ((2, 3, 4), {"dim": 1, "step": 2}),
        ((2, 3, 4, 5), {"dim": 2, "start": 1, "end": 3}),
        ((2, 3, 4, 5), {"dim": 3, "step": 4}),
        ((0, 4), {"dim": 1, "start": 1}),
        ((2, 1, 2, 3, 2), {"dim": 3, "start": 1}),
        ((263,), {"start": 3, "end": 261, "step": 7}),
    ]:
        op.case({"input": op.uniform(size)}, **attrs)
    op.raises({"input": op.uniform((7,))}, step=0)
    op.raises({"input": op.uniform((7,))}, step=-1)


def diagonals(file):
    matrices = [(3, 3), (3, 5), (5, 3), (1, 1), (0, 3), (2, 3, 4), (2, 1, 4, 4), (0, 2, 2), (7, 11), (1, 6)]
    for name in ("tril", "triu"):
        op = file.op(name, EXACT)
        for size in matrices:
            op.case({"input": op.uniform(size)})
            op.case({"input": op.uniform(size)}, diagonal=[1, -1, 2, -3, 100][len(op.file.cases) % 5])
        op.case({"input": op.index((3, 4), 9)}, diagonal=1)
        op.case({"input": op.bools((3, 4))}, diagonal=-1)
        op.case({"input": np.float32([[np.nan, np.inf], [np.nan, 1]])})
        op.raises({"input": op.uniform((3,))})
        op.raises({"input": op.uniform(())})
    op = file.op("diag", EXACT)
    for size in [(3,), (1,), (0,), (3, 3), (3, 5), (5, 3), (0, 3)]:
        for diagonal in (0, 1, -2):
            op.case({"input": op.uniform(size)}, diagonal=diagonal)
    op.case({"input": op.uniform((4,))})
    op.case({"input": op.index((3, 4), 9)}, diagonal=1)
    op.raises({"input": op.uniform(())})
    op.raises({"input": op.uniform((2, 3, 4))})
    op = file.op("diagonal", EXACT)
    for size in [(3, 3), (3, 5), (2, 3, 4), (0, 3)]:
        for offset in (0, 1, -2, 2):
            op.case({"input": op.uniform(size)}, offset=offset)
    for size, attrs in [
        ((2, 3, 4), {"dim1": 1, "dim2": 2}),
        ((2, 3, 4), {"dim1": -1, "dim2": 0, "offset": 1}),
        ((2, 3, 4, 5), {"dim1": 3, "dim2": 1, "offset": -1}),
        ((2, 1, 2, 3, 2), {"dim1": 3, "dim2": 4}),
        ((2, 3), {}),
    ]:
        op.case({"input": op.uniform(size)}, **attrs)
    op.raises({"input": op.uniform((3, 3))}, dim1=1, dim2=1)
    op.raises({"input": op.uniform((3, 3))}, dim1=2)
    op.raises({"input": op.uniform((3,))})


def repetition(file):
    sums = (1e-5, 1e-5)  # gradients add up
    for name, key in (("repeat", "repeats"), ("tile", "dims")):
        op = file.op(name, sums)
        for size, repeats in [
            ((), []),
            ((), [3]),
            ((), [2, 3]),
            ((5,), [1]),
            ((5,), [3]),
            ((5,), [0]),
            ((5,), [2, 3]),
            ((0,), [3]),
            ((3, 4), [1, 2]),
            ((3, 4), [2, 1]),
            ((3, 4), [2, 3]),
            ((3, 4), [2, 1, 2]),
            ((3, 4), [2, 0]),
            ((2, 3, 2), [2, 2, 2]),
            ((1, 3, 1), [4, 1, 3]),
            ((2, 3, 2, 3), [1, 1, 2, 2]),
            ((2, 3, 2, 3), [2, 2, 2, 2]),
            ((2, 1, 2, 1, 2), [1, 2, 2, 1, 2]),
            ((2, 1, 2, 1, 2), [2, 2, 1, 2, 1, 2]),
            ((13,), [7]),
        ]:
            op.case({"input": op.uniform(size)}, **{key: repeats})
        op.case({"input": op.index((2, 3), 9)}, **{key: [2, 2]})
        op.case({"input": op.bools((2, 3))}, **{key: [1, 2]})
        op.raises({"input": op.uniform((2, 3))}, **{key: [2, -1]})
        if name == "repeat":
            op.raises({"input": op.uniform((2, 3))}, repeats=[2])
        else:
            op.case({"input": op.uniform((2, 3))}, dims=[2])
            op.case({"input": op.uniform((2, 3))}, dims=[])


FAMILIES = [shape, joins, rearranged, views, diagonals, repetition]
