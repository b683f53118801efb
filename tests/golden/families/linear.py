"""Linear algebra."""

from harness import sum_tolerance


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


FAMILIES = [matmul]
