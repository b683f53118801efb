"""The inverse of max pooling."""

import torch
import torch.nn.functional as F

from harness import EXACT

SHAPES = {
    1: [(2, 3, 12), (3, 13), (0, 2, 8)],
    2: [(1, 2, 6, 8), (2, 7, 5), (0, 2, 6, 6)],
    3: [(1, 2, 4, 4, 6), (1, 5, 4, 6), (0, 2, 4, 4, 4)],
}


def max_unpool(file, several):
    for dims in several:
        op = file.op(f"max_unpool{dims}d", EXACT)
        pool = getattr(F, f"max_pool{dims}d")
        for shape in SHAPES[dims]:
            for attrs in [
                {"kernel_size": 2},
                {"kernel_size": 2, "stride": 2},
                {"kernel_size": 3, "stride": 2, "padding": 1},
                {"kernel_size": 3},
                {"kernel_size": 3, "stride": 3, "padding": 1},
                {"kernel_size": [2] * dims, "stride": [2] * dims, "padding": [0] * dims},
                {"kernel_size": [2] * (dims - 1) + [1], "stride": None},
                {"kernel_size": [1] * dims},
                {"kernel_size": 2, "padding": 1},
            ]:
                _, indices = pool(torch.from_numpy(op.uniform(shape)), return_indices=True, **attrs)
                args = {"input": op.uniform(indices.shape), "indices": indices.numpy()}
                size = list(shape[-dims:])
                op.case(args, output_size=size, **attrs)
                batched = [1] * (dims + 2 - len(shape)) + list(shape)
                args = {"input": op.uniform(indices.shape), "indices": indices.numpy()}
                op.case(args, output_size=batched, **attrs)
        shape = (2, 2) + (3,) * dims
        for attrs in [
            {"kernel_size": 2},
            {"kernel_size": 3, "stride": 2},
            {"kernel_size": 2, "stride": 3, "padding": 1},
        ]:
            # Any indices: of several elements that name a place the last has it, and all have its gradient.
            op.case({"input": op.uniform(shape), "indices": op.index(shape, 4**dims)}, **attrs)
            op.case({"input": op.uniform(shape), "indices": op.index(shape, 2)}, **attrs)
        x = {"input": op.uniform(shape), "indices": op.index(shape, 2**dims)}
        op.case(x, kernel_size=2, output_size=[5] * dims)
        op.case(x, kernel_size=2, output_size=[7] * dims)
        op.raises(x, kernel_size=2, output_size=[8] * dims)
        op.raises(x, kernel_size=2, output_size=[4] * dims)
        op.raises(x, kernel_size=2, output_size=[6] * (dims + 1))
        op.raises(x, kernel_size=1, stride=1, padding=2)
        op.raises({**x, "indices": x["indices"] + 6**dims}, kernel_size=2)
        op.raises({**x, "indices": x["indices"] - 2**dims}, kernel_size=2)
        op.raises({**x, "indices": x["indices"][:1]}, kernel_size=2)
        op.raises({"input": x["input"][:, :0], "indices": x["indices"][:, :0]}, kernel_size=2)
        op.raises({"input": x["input"][0, 0], "indices": x["indices"][0, 0]}, kernel_size=2)
        op.raises({"input": x["input"][None], "indices": x["indices"][None]}, kernel_size=2)
        op.raises({"input": x["input"][..., :0], "indices": x["indices"][..., :0]}, kernel_size=2)


def max_unpool2d(file):
    max_unpool(file, (1, 2))


def max_unpool3d(file):
    max_unpool(file, (3,))


FAMILIES = [max_unpool2d, max_unpool3d]
