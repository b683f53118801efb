"""Picking and placing by index."""

import numpy as np

from harness import INF, NAN, sum_tolerance
from families.shape import shape


def indexing(file):
    op = file.op("gather", (2e-6, 2e-6))
    for shape, index_shape, dim in [
        ((5,), (3,), 0),
        ((5,), (9,), 0),  # repeated: gradients add up
        ((3, 4), (3, 4), 0),
        ((3, 4), (3, 4), 1),
        ((3, 4), (2, 4), 0),
        ((3, 4), (7, 2), 0),  # smaller than the input in the other dimension
        ((3, 4), (2, 6), 1),
        ((3, 4), (3, 1), -1),
        ((2, 3, 4), (2, 5, 4), 1),
        ((2, 3, 4), (1, 2, 6), 2),
        ((2, 3, 4), (3, 2, 1), -3),
        ((2, 3, 4, 5), (2, 2, 3, 4), 2),
        ((2, 3, 4, 5), (1, 3, 4, 7), -1),
        ((), (), 0),
        ((), (1,), 0),
        ((4,), (), 0),
        ((5,), (0,), 0),
        ((3, 4), (0, 4), 0),
        ((3, 4), (2, 0), 1),
        ((10, 13), (10, 1), 1),  # as in losses
    ]:
        size = shape[dim] if shape else 1
        op.case({"input": op.uniform(shape), "index": op.index(index_shape, size)}, dim=dim)
    op.case({"input": op.uniform((3, 4)), "index": np.full((5, 4), 2, np.int64)}, dim=0)
    op.case({"input": op.uniform((2, 3)), "index": np.ones((2, 100), np.int64)}, dim=1, tol=sum_tolerance(100))
    op.case({"input": np.float32([NAN, INF, 1]), "index": np.int64([2, 0, 1])}, grad=False, dim=0)
    op.raises({"input": op.uniform((3, 4)), "index": op.index((3,), 3)}, dim=0)  # ranks
    op.raises({"input": op.uniform((3,)), "index": op.index((3, 1), 3)}, dim=0)
    op.raises({"input": op.uniform((3, 4)), "index": op.index((2, 5), 3)}, dim=0)  # index beyond the input
    op.raises({"input": op.uniform((3, 4)), "index": op.index((4, 2), 3)}, dim=1)
    op.raises({"input": op.uniform((3, 4)), "index": op.index((2, 2), 2)}, dim=2)
    op.raises({"input": op.uniform((3, 4)), "index": op.index((2, 2), 2)}, dim=-3)

    op = file.op("index_select", (2e-6, 2e-6))
    for shape, index_shape, dim in [
        ((5,), (3,), 0),
        ((5,), (11,), -1),
        ((1,), (1,), 0),
        ((5,), (), 0),  # a scalar index is one element
        ((3, 4), (), 1),
        ((3, 4), (), -2),
        ((3, 4), (1,), 0),
        ((3, 4), (7,), 0),
        ((3, 4), (2,), 1),
        ((3, 4), (13,), -1),
        ((2, 3, 5), (4,), 0),
        ((2, 3, 5), (4,), 1),
        ((2, 3, 5), (4,), 2),
        ((2, 3, 4, 5), (6,), -3),
        ((2, 1, 3, 1, 2), (3,), 2),
        ((2, 2, 1, 3, 2, 2), (5,), 3),
        ((), (), 0),
        ((), (1,), -1),
        ((3, 4), (0,), 0),
        ((3, 0), (2,), 0),
        ((0, 4), (3,), 1),
        ((31, 7), (40,), 0),
    ]:
        size = shape[dim] if shape else 1
        op.case({"input": op.uniform(shape), "index": op.index(index_shape, size)}, dim=dim)
    op.case({"input": op.uniform((3, 4)), "index": np.full((50,), 2, np.int64)}, dim=0, tol=sum_tolerance(50))
    op.case({"input": op.index((3, 4), 100), "index": op.index((5,), 3)}, grad=False, dim=0)
    op.case({"input": op.bools((3, 4)), "index": op.index((5,), 4)}, grad=False, dim=1)
    op.case({"input": np.float32([NAN, INF, -INF]), "index": np.int64([2, 0, 1, 0])}, grad=False, dim=0)
    op.raises({"input": op.uniform((3, 4)), "index": op.index((2, 2), 3)}, dim=0)
    op.raises({"input": op.uniform((3, 4)), "index": op.index((2,), 3)}, dim=2)
    op.raises({"input": op.uniform((3, 4)), "index": op.uniform((2,))}, dim=0)
    op.raises({"input": op.uniform((3, 4)), "index": np.int64([3])}, dim=0)  # out of range
    op.raises({"input": op.uniform((3, 4)), "index": np.int64([-1])}, dim=0)
    op.raises({"input": op.uniform(()), "index": np.int64([0, 0])}, dim=0)

    op = file.op("take_along_dim", (2e-6, 2e-6))
    for shape, index_shape, dim in [
        ((5,), (3,), 0),
        ((5,), (9,), -1),
        ((3, 4), (3, 4), 0),
        ((3, 4), (3, 4), 1),
        ((3, 4), (1, 4), 0),  # argmax with its dimension kept
        ((3, 4), (3, 1), 1),
        ((3, 4), (5, 1), 0),  # the index stretches
        ((3, 4), (1, 5), 1),
        ((3, 1), (2, 4), 0),  # the input stretches
        ((1, 4), (3, 2), 1),
        ((2, 3, 4), (2, 5, 4), 1),
        ((2, 3, 1), (1, 5, 4), 1),
        ((1, 3, 4), (6, 1, 2), -1),
        ((2, 1, 3, 4), (2, 5, 2, 1), 2),
        ((2, 3), (4,), None),  # flat
        ((2, 3), (2, 2, 2), None),
        ((5,), (3,), None),
        ((), (), None),
        ((), (4,), None),
        ((3, 4), (0, 4), 0),
        ((3, 0), (2, 0), 0),
        ((23, 2), (31, 2), 0),
    ]:
        size = int(np.prod(shape)) if dim is None else shape[dim]
        op.case({"input": op.uniform(shape), "indices": op.index(index_shape, size)}, dim=dim)
    op.case({"input": op.index((3, 4), 9), "indices": op.index((3, 2), 4)}, grad=False, dim=1)
    op.case({"input": op.uniform((3, 4)), "indices": op.index((3, 9), 30) - 15}, dim=1)  # around the ends
    op.raises({"input": op.uniform((3, 4)), "indices": op.index((3,), 3)}, dim=0)
    op.raises({"input": op.uniform((3, 4)), "indices": op.index((3, 3), 3)}, dim=0)
    op.raises({"input": op.uniform((3, 4)), "indices": op.index((3, 4), 3)}, dim=2)
    op.raises({"input": op.uniform((3, 4)), "indices": op.uniform((3, 4))}, dim=0)
    op.raises({"input": op.uniform((3, 0)), "indices": np.int64([[0]])}, dim=1)
    op.raises({"input": op.uniform(()), "indices": np.int64(0)}, dim=0)
    op.raises({"input": op.uniform((3, 4)), "indices": np.int64([12])}, dim=None)  # out of range
    op.raises({"input": op.uniform((3, 4)), "indices": np.int64([-1])}, dim=None)

    op = file.op("masked_select", (2e-6, 2e-6))
    for shape, mask_shape in [
        ((5,), (5,)),
        ((1,), (1,)),
        ((37,), (37,)),
        ((3, 4), (3, 4)),
        ((3, 4), (4,)),
        ((3, 4), (3, 1)),
        ((3, 4), (1, 4)),
        ((4,), (3, 4)),  # the input stretches
        ((3, 1), (4,)),
        ((3, 1, 2), (4, 1)),
        ((2, 3, 4), (2, 3, 4)),
        ((2, 3, 4), ()),
        ((), (3,)),
        ((), ()),
        ((2, 3, 4, 5), (3, 1, 5)),
        ((2, 1, 2, 3, 2), (2, 3, 2)),
        ((2, 2, 1, 3, 2, 2), (2, 2)),
        ((0,), (0,)),
        ((0, 3), (3,)),
        ((17, 19), (17, 19)),
    ]:
        op.case({"input": op.uniform(shape), "mask": op.bools(mask_shape)})
    op.case({"input": op.uniform((3, 4)), "mask": np.zeros((3, 4), bool)})
    op.case({"input": op.uniform((3, 4)), "mask": np.ones((3, 4), bool)})
    op.case({"input": np.float32([NAN, INF, 1]), "mask": np.bool_([True, True, False])}, grad=False)
    op.case({"input": op.index((3, 4), 100), "mask": op.bools((3, 4))}, grad=False)
    op.case({"input": op.bools((3, 4)), "mask": op.bools((3, 4))}, grad=False)
    op.raises({"input": op.uniform((3, 4)), "mask": op.bools((3,))})
    op.raises({"input": op.uniform((3, 4)), "mask": op.uniform((3, 4))})
    op.raises({"input": op.uniform((3, 4)), "mask": op.index((3, 4), 2)})


def scattering(file):
    def apart(op, shape, size, dim):
        """Indices that differ along a dimension: where several sources meet, PyTorch calls its gradient wrong."""
        order = np.argsort(op.rng.random((*shape[:dim], size, *shape[dim + 1 :])), axis=dim)
        return np.take(order, range(shape[dim]), axis=dim).astype(np.int64)

    op = file.op("scatter", (2e-6, 2e-6))
    for shape, index_shape, src_shape, dim in [
        ((5,), (3,), (3,), 0),
        ((5,), (5,), (5,), 0),
        ((1,), (1,), (1,), 0),
        ((3, 4), (3, 4), (3, 4), 0),
        ((3, 4), (3, 4), (3, 4), 1),
        ((3, 4), (2, 4), (2, 4), 0),
        ((3, 4), (3, 2), (3, 2), 0),  # smaller than the input in the other dimension
        ((3, 4), (2, 3), (2, 3), 1),
        ((3, 4), (2, 3), (5, 7), 1),  # a source larger than the index
        ((2, 5, 3), (2, 2, 3), (2, 2, 3), 1),
        ((2, 5, 3), (1, 4, 2), (1, 4, 2), 1),
        ((2, 3, 5), (2, 1, 3), (2, 2, 4), 2),
        ((2, 2, 3, 4), (2, 1, 3, 2), (2, 1, 3, 2), 3),
        ((4, 2, 1, 2, 3), (3, 2, 1, 1, 2), (3, 2, 1, 1, 2), 0),
        ((5,), (0,), (0,), 0),
        ((3, 4), (0, 4), (2, 4), 0),
        ((37,), (23,), (23,), 0),
    ]:
        index = apart(op, index_shape, shape[dim], dim)
        exact = index_shape == src_shape  # PyTorch's only gradient
        args = {"input": op.uniform(shape), "index": index, "src": op.uniform(src_shape)}
        op.case(args, grad=exact, dim=dim)
        op.case({k: v for k, v in args.items() if k != "src"}, dim=dim - len(shape), value=1.25)
    op.case({"input": op.uniform(()), "index": op.index((), 1), "src": op.uniform(())}, dim=0)
    op.case({"input": op.uniform((4, 3)), "index": op.index((9, 3), 4), "src": op.uniform((9, 3))}, grad=False, dim=0)
    op.case(
        {"input": op.uniform((2, 3)), "index": op.index((2, 50), 3), "src": op.uniform((2, 50))}, grad=False, dim=1
    )
    op.case(
        {"input": op.index((4, 3), 99), "index": op.index((2, 3), 4), "src": op.index((2, 3), 99)}, grad=False, dim=0
    )
    op.case({"input": op.bools((4, 3)), "index": op.index((2, 3), 4), "src": op.bools((2, 3))}, grad=False, dim=0)
    op.case({"input": op.index((4, 3), 99), "index": op.index((4, 1), 3)}, grad=False, dim=1, value=7)
    special = np.float32([NAN, INF, -INF])
    op.case({"input": special, "index": np.int64([0]), "src": op.uniform((1,))}, grad=False, dim=0)
    for reduce in ["add", "multiply"]:
        for shape, index_shape, dim in [
            ((5,), (12,), 0),
            ((3, 4), (2, 4), 0),
            ((3, 4), (2, 9), 1),
            ((2, 3, 2), (1, 7, 2), 1),
        ]:
            args = {"input": op.signed(shape, 0.5, 1), "index": op.index(index_shape, shape[dim])}
            op.case(
                args | {"src": op.signed(index_shape, 0.5, 1.5)}, grad=False, dim=dim, reduce=reduce, tol=(1e-5, 1e-5)
            )
            op.case(args, grad=False, dim=dim, value=1.5, reduce=reduce, tol=(1e-5, 1e-5))
        args = {"input": op.index((4,), 5), "index": op.index((6,), 4), "src": op.index((6,), 4)}
        op.case(args, grad=False, dim=0, reduce=reduce)
    one = {"input": op.uniform((3, 4)), "index": op.index((2, 4), 3), "src": op.uniform((2, 4))}
    op.raises(one, dim=2)
    op.raises(one, dim=0, reduce="mean")
    op.raises(one | {"index": op.index((2, 5), 3)}, dim=0)
    op.raises(one | {"index": op.index((3, 4), 3)}, dim=0)  # larger than the source
    op.raises(one | {"index": op.index((4,), 3)}, dim=0)
    op.raises(one | {"src": op.uniform((4,))}, dim=0)
    op.raises(one | {"src": op.index((2, 4), 3)}, dim=0)
    op.raises(one | {"index": op.uniform((2, 4))}, dim=0)
    op.raises(one | {"index": np.full((2, 4), 3, np.int64)}, dim=0)  # out of range
    op.raises(one | {"index": np.full((2, 4), -1, np.int64)}, dim=0)

    op = file.op("scatter_add", sum_tolerance(8))
    for shape, index_shape, src_shape, dim in [
        ((5,), (3,), (3,), 0),
        ((5,), (19,), (19,), 0),  # several meet
        ((1,), (1,), (1,), 0),
        ((1,), (30,), (30,), 0),
        ((3, 4), (3, 4), (3, 4), 0),
        ((3, 4), (3, 4), (3, 4), 1),
        ((3, 4), (9, 4), (9, 4), 0),
        ((3, 4), (3, 2), (3, 2), 0),  # smaller than the input in the other dimension
        ((3, 4), (2, 11), (2, 11), 1),
        ((3, 4), (2, 3), (5, 7), 1),  # a source larger than the index
        ((2, 5, 3), (2, 13, 3), (2, 13, 3), 1),
        ((2, 5, 3), (1, 4, 2), (1, 4, 2), 1),
        ((2, 3, 5), (2, 1, 9), (2, 2, 9), 2),
        ((2, 2, 3, 4), (2, 1, 3, 12), (2, 1, 3, 12), -1),
        ((4, 2, 1, 2, 3), (6, 2, 1, 1, 2), (6, 2, 1, 1, 2), -5),
        ((), (), (), 0),
        ((5,), (0,), (0,), 0),
        ((3, 4), (0, 4), (2, 4), 0),
        ((0, 4), (0, 4), (0, 4), 1),
        ((3, 50), (3, 70), (3, 70), 1),
    ]:
        size = max(shape[dim], 1) if shape else 1
        args = {"input": op.uniform(shape), "index": op.index(index_shape, size), "src": op.uniform(src_shape)}
        op.case(args, grad=index_shape == src_shape, dim=dim)
    args = {"input": op.uniform((211,)), "index": op.index((701,), 211), "src": op.uniform((701,))}
    op.case(args, dim=0)  # sorted
    args = {"input": op.uniform((40,)), "index": np.full((2500,), 17, np.int64), "src": op.uniform((2500,))}
    op.case(args, dim=0, tol=sum_tolerance(2500))
    args = {"input": op.index((4, 3), 99), "index": op.index((9, 3), 4), "src": op.index((9, 3), 99)}
    op.case(args, grad=False, dim=0)
    args = {"input": np.float32([NAN, INF, 1]), "index": np.int64([1, 2, 2]), "src": np.float32([-INF, INF, 1])}
    op.case(args, grad=False, dim=0)
    op.raises(one, dim=2)
    op.raises(one | {"index": op.index((2, 5), 3)}, dim=0)
    op.raises(one | {"index": op.index((3, 4), 3)}, dim=0)
    op.raises(one | {"index": op.index((4,), 3)}, dim=0)
    op.raises(one | {"src": op.index((2, 4), 3)}, dim=0)
    op.raises(one | {"index": op.uniform((2, 4))}, dim=0)
    op.raises(one | {"index": np.full((2, 4), 3, np.int64)}, dim=0)
    op.raises(one | {"index": np.full((2, 4), -1, np.int64)}, dim=0)

    op = file.op("index_add", sum_tolerance(8))
    for shape, count, dim, alpha in [
        ((5,), 3, 0, None),
        ((5,), 20, 0, None),
        ((1,), 1, 0, 2),
        ((3, 4), 1, 0, None),
        ((3, 4), 7, 0, 0.5),
        ((3, 4), 7, 1, -2),
        ((3, 4), 7, -1, 0),
        ((2, 5, 3), 11, 1, None),
        ((2, 5, 3), 4, 2, 1.5),
        ((2, 5, 3), 3, -3, None),
        ((2, 3, 2, 2), 6, 2, None),
        ((2, 1, 2, 3, 2), 5, 3, 3),
        ((3, 4), 0, 0, None),
        ((0, 4), 3, 1, None),
        ((61, 5), 40, 0, None),
        ((2, 90, 5), 81, 1, -1),  # sorted
    ]:
        source = list(shape)
        source[dim] = count
        args = {"input": op.uniform(shape), "index": op.index((count,), shape[dim]), "source": op.uniform(source)}
        op.case(args, dim=dim, **({} if alpha is None else {"alpha": alpha}))
    op.case({"input": op.uniform((4,)), "index": op.index((), 4), "source": op.uniform((1,))}, dim=0)
    op.case({"input": op.uniform(()), "index": op.index((1,), 1), "source": op.uniform(())}, dim=0)
    op.case(
        {"input": op.index((4, 2), 9), "index": op.index((7,), 4), "source": op.index((7, 2), 9)}, grad=False, dim=0
    )
    one = {"input": op.uniform((3, 4)), "index": op.index((2,), 3), "source": op.uniform((2, 4))}
    op.raises(one, dim=2)
    op.raises(one, dim=1)
    op.raises(one | {"index": op.index((3,), 3)}, dim=0)
    op.raises(one | {"index": op.index((2, 1), 3)}, dim=0)
    op.raises(one | {"source": op.uniform((2, 3))}, dim=0)
    op.raises(one | {"source": op.index((2, 4), 3)}, dim=0)
    op.raises(one | {"index": np.int64([0, 3])}, dim=0)
    op.raises(one | {"index": np.int64([0, -1])}, dim=0)


def embedding(file):
    op = file.op("embedding", sum_tolerance(8))
    for rows, columns, index_shape in [
        (1, 1, (1,)),
        (1, 1, ()),
        (5, 3, ()),
        (5, 3, (1,)),
        (5, 3, (7,)),
        (5, 1, (4, 2)),
        (7, 4, (2, 3)),
        (7, 4, (2, 3, 5)),
        (7, 2, (2, 1, 3, 2)),
        (7, 2, (1, 2, 1, 3, 2)),
        (31, 5, (40,)),
        (97, 3, (61,)),  # sorted
        (5, 3, (0,)),
        (5, 3, (2, 0, 3)),
        (5, 0, (3,)),
    ]:
        op.case({"input": op.index(index_shape, rows), "weight": op.uniform((rows, columns))})
    for options in [
        {"padding_idx": 0},
        {"padding_idx": 4},
        {"padding_idx": -1},
        {"padding_idx": -5},
        {"padding_idx": None},
        {"scale_grad_by_freq": True},
        {"scale_grad_by_freq": True, "padding_idx": 2},
        {"sparse": False, "norm_type": 1.0, "max_norm": None},
    ]:
        op.case({"input": op.index((3, 7), 5), "weight": op.uniform((5, 3))}, **options)
    op.case({"input": np.full((60,), 3, np.int64), "weight": op.uniform((5, 3))}, tol=sum_tolerance(60))
    special = np.float32([[NAN, 1], [INF, 2], [-INF, 3]])
    op.case({"input": np.int64([2, 0, 1]), "weight": special}, grad=False)
    op.case({"input": np.int64([2, 0, 1]), "weight": special}, padding_idx=0, grad=False)
    weight = op.uniform((5, 3))
    op.raises({"input": op.index((2,), 5), "weight": weight}, padding_idx=5)
    op.raises({"input": op.index((2,), 5), "weight": weight}, padding_idx=-6)
    op.raises({"input": np.int64([5]), "weight": weight})
    op.raises({"input": np.int64([-1]), "weight": weight})
    op.raises({"input": op.uniform((2,)), "weight": weight})
    op.raises({"input": op.index((2,), 5), "weight": op.uniform((5,))})
    op.raises({"input": op.index((2,), 5), "weight": op.uniform((5, 3, 2))})


FAMILIES = [indexing, scattering, embedding]
