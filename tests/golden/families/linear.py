"""Linear algebra."""

import numpy as np

from harness import INF, NAN, sum_tolerance


def matmul(file):
    def tolerance(args, outputs):
        a, b = args["input"], args["other"]
        k = a.shape[-1]
        if 0 in (a.numel(), b.numel(), outputs[0].numel()):
            return sum_tolerance(1)
        longest = max(k, outputs[0].numel() * k // a.numel(), outputs[0].numel() * k // b.numel())
        return sum_tolerance(longest)

    op = file.op("matmul", tolerance)
    for a, b in [
        ((5,), (5,)),  # vectors
        ((1,), (1,)),
        ((257,), (257,)),
        ((5,), (5, 3)),
        ((7,), (2, 7, 3)),
        ((4, 6), (6,)),
        ((3, 4, 6), (6,)),
        ((2, 3, 4, 6), (6,)),
        ((2, 3), (3, 4)),  # matrices
        ((1, 1), (1, 1)),
        ((1, 7), (7, 1)),
        ((7, 1), (1, 5)),
        ((13, 17), (17, 11)),
        ((16, 16), (16, 16)),
        ((31, 37), (37, 29)),
        ((64, 32), (32, 64)),
        ((65, 70), (70, 33)),
        ((3, 4, 5), (3, 5, 2)),  # batches
        ((3, 4, 5), (5, 2)),
        ((4, 5), (3, 5, 2)),
        ((1, 4, 5), (3, 5, 2)),
        ((3, 4, 5), (1, 5, 2)),
        ((2, 1, 4, 5), (3, 5, 2)),
        ((2, 1, 4, 3), (1, 3, 3, 5)),
        ((5, 17, 19), (5, 19, 23)),
        ((0, 4, 5), (0, 5, 2)),  # nothing in the batch
        ((0, 4, 5), (5, 2)),
        ((0, 3), (3, 4)),  # no rows
        ((3, 0), (0, 4)),  # sums of no terms
        ((2, 3, 0), (2, 0, 4)),
        ((0,), (0,)),
    ]:
        op.case({"input": op.uniform(a), "other": op.uniform(b)})
    for a, b in [
        ((4,), (5,)),
        ((2, 3), (4, 5)),
        ((3,), (4, 3)),
        ((2, 3), (2,)),
        ((2, 3, 4), (3, 4, 5)),
        ((2, 3, 4), (2, 5, 4)),
        ((), (3,)),
        ((2, 3), ()),
    ]:
        op.raises({"input": op.uniform(a), "other": op.uniform(b)})


# Rows, depth and columns of products.
SIZES = [
    (2, 3, 4),
    (1, 1, 1),
    (1, 7, 1),
    (7, 1, 5),
    (1, 1, 9),
    (9, 1, 1),
    (5, 1, 1),
    (13, 7, 11),
    (16, 4, 16),
    (17, 9, 5),
    (33, 2, 17),
    (1, 100, 3),
    (3, 100, 1),
    (0, 3, 4),
    (3, 0, 4),
    (3, 4, 0),
    (0, 0, 0),
    (8, 8, 8),
    (15, 33, 2),
    (2, 3, 70),
]


def product(op, names, shapes, depth, **attrs):
    op.case(dict(zip(names, map(op.uniform, shapes))), tol=sum_tolerance(max(depth, 1)), **attrs)


def linear_algebra(file):
    op = file.op("mm")
    for m, k, n in SIZES:
        product(op, ("input", "mat2"), [(m, k), (k, n)], max(m, k, n))
    for a, b in [((2, 3), (4, 5)), ((3,), (3, 4)), ((2, 3), (3,)), ((1, 2, 3), (3, 4)), ((2, 3), (1, 3, 4)), ((), ())]:
        op.raises({"input": op.uniform(a), "mat2": op.uniform(b)})

    op = file.op("bmm")
    for batch, (m, k, n) in zip([1, 2, 3, 5, 1, 2, 4, 2, 1, 2, 3, 5, 2, 3, 2, 2, 2, 0, 0, 3], SIZES):
        product(op, ("input", "mat2"), [(batch, m, k), (batch, k, n)], max(m, k, n))
    for a, b in [
        ((2, 3, 4), (3, 4, 5)),
        ((2, 3, 4), (1, 4, 5)),  # nothing broadcasts
        ((2, 3, 4), (2, 5, 4)),
        ((3, 4), (2, 4, 5)),
        ((2, 3, 4), (4, 5)),
        ((1, 2, 3, 4), (1, 2, 4, 5)),
    ]:
        op.raises({"input": op.uniform(a), "mat2": op.uniform(b)})

    op = file.op("mv")
    for m, k, _ in SIZES:
        product(op, ("input", "vec"), [(m, k), (k,)], max(m, k))
    for a, b in [((2, 3), (2,)), ((2, 3), (3, 1)), ((3,), (3,)), ((1, 2, 3), (3,))]:
        op.raises({"input": op.uniform(a), "vec": op.uniform(b)})

    op = file.op("dot")
    for n in [0, 1, 2, 3, 4, 5, 7, 8, 11, 16, 17, 31, 33, 63, 64, 65, 100, 257, 500, 1001]:
        product(op, ("input", "tensor"), [(n,), (n,)], n)
    op.case({"input": op.index((9,), 9), "tensor": op.index((9,), 9)}, grad=False)
    op.case({"input": np.float32([INF, 1]), "tensor": np.float32([0, 1])}, grad=False)
    for a, b in [((3,), (4,)), ((3,), (1,)), ((1, 3), (3,)), ((3,), (3, 1)), ((), ())]:
        op.raises({"input": op.uniform(a), "tensor": op.uniform(b)})
    op.raises({"input": op.uniform((3,)), "tensor": op.index((3,), 3)})

    op = file.op("outer")
    for n, m in [(1, 1), (2, 3), (3, 2), (1, 7), (7, 1), (0, 3), (3, 0), (0, 0), (5, 5), (13, 17), (1, 100), (100, 1)]:
        product(op, ("input", "vec2"), [(n,), (m,)], max(n, m))
    for n, m in [(4, 9), (8, 8), (31, 2), (2, 31), (6, 11), (11, 6), (16, 3), (3, 16)]:
        product(op, ("input", "vec2"), [(n,), (m,)], max(n, m))
    op.case({"input": op.index((4,), 9), "vec2": op.index((3,), 9)}, grad=False)
    for a, b in [((), (3,)), ((3,), ()), ((1, 3), (3,)), ((3,), (3, 1))]:
        op.raises({"input": op.uniform(a), "vec2": op.uniform(b)})


def linear_maps(file):
    op = file.op("addmm")
    names = ("input", "mat1", "mat2")
    for i, (m, k, n) in enumerate(SIZES):
        bias = [(m, n), (n,), (1, n), (m, 1), (), (1,), (1, 1)][i % 7]
        options = [{}, {"beta": 0.5}, {"alpha": -2}, {"beta": -1.5, "alpha": 0.25}, {"beta": 0, "alpha": 1}][i % 5]
        product(op, names, [bias, (m, k), (k, n)], 2 * max(m, k, n), **options)
    args = {"input": np.float32([NAN, INF]), "mat1": op.uniform((3, 2)), "mat2": op.uniform((2, 2))}
    op.case(args, tol=sum_tolerance(2), beta=0, grad=False)  # ignored
    op.case(args, tol=sum_tolerance(2), grad=False)
    for shapes in [
        ((2, 4), (2, 3), (4, 4)),
        ((3, 4), (2, 3), (3, 4)),
        ((3,), (2, 3), (3, 4)),
        ((1, 2, 4), (2, 3), (3, 4)),
        ((2, 4), (3,), (3, 4)),
        ((2, 4), (2, 3), (3,)),
    ]:
        op.raises(dict(zip(names, map(op.uniform, shapes))))

    op = file.op("baddbmm")
    names = ("input", "batch1", "batch2")
    for i, (m, k, n) in enumerate(SIZES):
        b = 1 + i % 3
        bias = [(b, m, n), (n,), (1, n), (b, m, 1), (), (1, 1, 1), (m, 1)][i % 7]
        options = [{}, {"beta": 0.5}, {"alpha": -2}, {"beta": -1.5, "alpha": 0.25}, {"beta": 0, "alpha": 1}][i % 5]
        product(op, names, [bias, (b, m, k), (b, k, n)], 2 * b * max(m, k, n), **options)
    for shapes in [
        ((2, 2, 4), (2, 2, 3), (1, 3, 4)),
        ((3, 2, 4), (2, 2, 3), (2, 3, 4)),
        ((1, 2, 2, 4), (2, 2, 3), (2, 3, 4)),
        ((2, 4), (2, 3), (3, 4)),
    ]:
        op.raises(dict(zip(names, map(op.uniform, shapes))))

    op = file.op("linear")
    for shape, out in [
        ((3,), 4),
        ((1,), 1),
        ((2, 3), 4),
        ((2, 1), 5),
        ((7, 5), 1),
        ((1, 100), 3),
        ((2, 3, 4), 5),
        ((2, 1, 3, 4), 2),
        ((2, 1, 2, 1, 3), 2),
        ((0, 3), 4),
        ((2, 0, 3), 4),
        ((3, 0), 4),
        ((3, 4), 0),
        ((5, 17), 33),
    ]:
        args = {"input": op.uniform(shape), "weight": op.uniform((out, shape[-1]))}
        longest = sum_tolerance(max(*shape, out, int(np.prod(shape[:-1]))))
        op.case(args, tol=longest)
        op.case(args | {"bias": op.uniform((out,))}, tol=longest)
    for shape, bias in [
        ((2, 3), ()),
        ((2, 3), (1,)),
        ((2, 3), (2, 4)),
        ((2, 3), (2, 1)),
        ((5, 2, 3), (2, 4)),
        ((3,), ()),
    ]:
        args = {"input": op.uniform(shape), "weight": op.uniform((4, 3)), "bias": op.uniform(bias)}
        op.case(args, tol=sum_tolerance(10))
    for shape in [(3,), (2, 3), (2, 1, 3), (0, 3), (2, 0)]:  # one output without a dimension
        op.case({"input": op.uniform(shape), "weight": op.uniform(shape[-1:])}, tol=sum_tolerance(6))
    op.raises({"input": op.uniform((2, 3)), "weight": op.uniform((3,)), "bias": op.uniform(())})
    op.raises({"input": op.uniform((2, 3)), "weight": op.uniform((4, 3)), "bias": op.uniform((3, 2, 4))})
    for shapes in [((2, 3), (4, 5), (4,)), ((2, 3), (4, 3), (5,)), ((2, 3), (2, 4, 3), (4,)), ((), (4, 3), (4,))]:
        op.raises(dict(zip(("input", "weight", "bias"), map(op.uniform, shapes))))

    op = file.op("bilinear")
    names = ("input1", "input2", "weight", "bias")
    for batch, a, b, out in [
        ((), 3, 4, 2),
        ((1,), 1, 1, 1),
        ((2,), 3, 4, 5),
        ((3,), 1, 4, 5),
        ((3,), 4, 1, 5),
        ((3,), 4, 5, 1),
        ((2, 3), 3, 4, 5),
        ((2, 1, 3), 3, 4, 2),
        ((0,), 3, 4, 5),
        ((11,), 7, 5, 3),
    ]:
        shapes = [(*batch, a), (*batch, b), (out, a, b), (out,)]
        product(op, names, shapes, a * b * int(np.prod(batch)))
        product(op, names[:3], shapes[:3], a * b * int(np.prod(batch)))
    for shapes in [
        ((2, 3), (3, 4), (5, 3, 4), (5,)),
        ((2, 3), (2, 4), (5, 4, 3), (5,)),
        ((2, 3), (2, 4), (5, 3, 4), (4,)),
    ]:
        op.raises(dict(zip(names, map(op.uniform, shapes))))


def einsum(file):
    op = file.op("einsum", sum_tolerance(60))
    for equation, *shapes in [
        ("ij,jk->ik", (3, 4), (4, 5)),
        ("ij,jk", (3, 4), (4, 5)),
        ("ij,jk->ki", (3, 4), (4, 5)),
        ("ij,kj->ik", (3, 4), (5, 4)),
        (" i j , j k -> i k ", (3, 4), (4, 5)),  # spaces
        ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)),
        ("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)),
        ("bhqk,bhkd->bqhd", (2, 2, 3, 4), (2, 2, 4, 5)),
        ("i,i->", (5,), (5,)),
        ("i,i", (5,), (5,)),
        ("i,i->i", (5,), (5,)),
        ("i,j->ij", (3,), (4,)),
        ("i,j", (3,), (4,)),
        ("j,i", (3,), (4,)),  # alphabetical order
        ("ij->ji", (3, 4)),
        ("ba", (3, 4)),
        ("ba->ba", (3, 4)),
        ("bA", (3, 4)),  # upper case first
        ("aB,Bc", (3, 4), (4, 5)),
        ("ij->", (3, 4)),
        ("ij->i", (3, 4)),
        ("ijk->j", (2, 3, 4)),
        ("ii", (4, 4)),  # diagonals
        ("ii->i", (4, 4)),
        ("ii->", (1, 1)),
        ("iji->ij", (3, 4, 3)),
        ("iij->j", (3, 3, 4)),
        ("iii->i", (3, 3, 3)),
        ("ijij->ij", (2, 3, 2, 3)),
        ("ii,ij->j", (3, 3), (3, 4)),
        ("ii,jj->ij", (3, 3), (2, 2)),
        ("...ij,...jk->...ik", (2, 3, 4), (2, 4, 5)),  # ellipses
        ("...ij,...jk->...ik", (2, 1, 3, 4), (3, 4, 5)),
        ("...ij,jk->...ik", (2, 2, 3, 4), (4, 5)),
        ("...ij,...jk", (2, 3, 4), (4, 5)),
        ("i...,i...->...", (3, 2), (3, 2)),
        ("...i->...", (2, 3, 4)),
        ("...i->", (2, 3, 4)),
        ("...->...", (2, 3)),
        ("...", (2, 3)),
        ("...ii->...i", (2, 3, 3)),
        ("i...j->j...i", (2, 3, 4, 5)),
        ("...,...->...", (2, 3), (3,)),
        ("...,i->...i", (), (3,)),
        ("ij,i...->j...", (2, 3), (2, 4, 1)),
        ("ij->ij...", (2, 3)),
        ("ij,ij->ij", (3, 1), (1, 4)),  # sizes of 1 stretch
        ("ij,jk->ik", (3, 1), (4, 5)),
        ("ij,jk->ik", (3, 4), (1, 5)),
        ("ij,jk->ik", (3, 1), (1, 5)),
        ("bij,bjk->bik", (1, 3, 4), (2, 4, 5)),
        ("i,i,i->i", (3,), (1,), (3,)),
        ("ij,jk,kl->il", (2, 3), (3, 4), (4, 5)),  # more operands
        ("ij,jk,kl", (2, 3), (3, 4), (4, 5)),
        ("bn,anm,bm->ba", (2, 5), (3, 5, 7), (2, 7)),
        ("i,j,k->kji", (2,), (3,), (4,)),
        ("i,j,k->", (2,), (3,), (4,)),
        ("ab,bc,cd,de->ae", (2, 3), (3, 4), (4, 5), (5, 2)),
        ("ij,ij,ij->i", (2, 3), (2, 3), (2, 3)),
        ("ij,k->i", (3, 4), (5,)),  # summed before
        ("ij,kl->jl", (3, 4), (5, 2)),
        ("nchw,kchw->nk", (2, 3, 2, 2), (4, 3, 2, 2)),
        ("abcdef->fedcba", (2, 1, 2, 3, 1, 2)),
        ("ij,jk->ik", (3, 0), (0, 5)),  # nothing
        ("ij,jk->ik", (0, 3), (3, 5)),
        ("ij->i", (3, 0)),
        ("ii->i", (0, 0)),
        ("i,i->i", (0,), (1,)),
        ("->", ()),
        ("", ()),
        (",->", (), ()),
        (",i->i", (), (3,)),
    ]:
        op.case({"operands": [op.uniform(shape) for shape in shapes]}, equation=equation)
    op.case({"operands": [op.index((3, 4), 9), op.index((4, 2), 9)]}, grad=False, equation="ij,jk->ik")
    for equation, *shapes in [
        ("ij,jk->ik", (3, 4)),
        ("ij", (3, 4), (4, 5)),
        ("ij,jk->ik", (3, 4), (5, 5)),
        ("ij", (3, 4, 5)),
        ("ijk", (3, 4)),
        ("...ijk", (3, 4)),
        ("ii", (3, 4)),
        ("ii", (3, 1)),
        ("ij->ii", (3, 4)),
        ("ij->ik", (3, 4)),
        ("ij->i...j...", (3, 4)),
        ("...i...", (3, 4)),
        ("i.j", (3, 4)),
        ("i..j", (3, 4)),
        ("i1", (3, 4)),
        ("ij-", (3, 4)),
        ("ij->i->j", (3, 4)),
        ("ij>ji", (3, 4)),
        ("ij,->ij", (3, 4)),
        ("...,...", (3, 4), (2, 4)),
    ]:
        op.raises({"operands": [op.uniform(shape) for shape in shapes]}, equation=equation)


FAMILIES = [matmul, linear_algebra, linear_maps, einsum]
