"""The same elements in other places."""

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
    ]:
        op.case({"input": op.uniform(size)}, chunks=chunks, dim=dim)
    op.raises({"input": op.uniform((4,))}, chunks=0, dim=0)
    op.raises({"input": op.uniform((4,))}, chunks=2, dim=1)
    op.raises({"input": op.uniform(())}, chunks=2, dim=0)

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
    ]:
        op.case({"input": op.uniform(size)}, groups=groups)
    for size, groups in [((1, 4, 2, 2), 3), ((2, 4), 2), ((1, 4, 2, 2), 0)]:
        op.raises({"input": op.uniform(size)}, groups=groups)


FAMILIES = [shape]
