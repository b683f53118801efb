"""Weights that follow from their names, which `tests/common/from_names.rs` computes too, so that no golden file keeps them.

Number `i` of `name` is word `i` of SplitMix64 seeded with the FNV-1a hash of the name; weights are scaled by their fan-in and
rounded to float32. Of a gradient its norm is kept, and its product with numbers of the same kind.
"""

import numpy as np
import torch

MASK = (1 << 64) - 1
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def fnv(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return value


def numbers(name, count):
    """`count` numbers from -1 to 1 that follow from a name."""
    with np.errstate(over="ignore"):
        words = np.uint64(fnv(name)) + GOLDEN * np.arange(1, count + 1, dtype=np.uint64)
        words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        words ^= words >> np.uint64(31)
    return (words >> np.uint64(11)).astype(np.float64) / float(1 << 52) - 1.0


def value(name, shape):
    """A weight, a bias or a running statistic, in float32's precision."""
    count = int(np.prod(shape))
    unit = numbers(name, count)
    last = name.rsplit(".", 1)[-1]
    if last == "running_var":
        unit = 1.0 + 0.5 * unit
    elif last.startswith("bias") or last in ("running_mean", "in_proj_bias"):
        unit = 0.1 * unit
    elif len(shape) == 1 or last == "layer_scale":
        unit = 1.0 + 0.2 * unit
    elif last.startswith("weight") or last == "in_proj_weight":
        unit = unit * np.sqrt(3.0 / (count // shape[0]))
    return torch.from_numpy(unit.astype(np.float32).astype(np.float64).reshape(shape))


def fill(model):
    state = model.state_dict()
    for name, old in state.items():
        if old.is_floating_point():
            old.copy_(value(name, tuple(old.shape)))


def names(model):
    """The hash of all names and shapes of a state dictionary, and the number of trained parameters."""
    lines = sorted(f"{name} {list(tensor.shape)}" for name, tensor in model.state_dict().items())
    trained = sum(parameter.numel() for parameter in model.parameters())
    return {"entries": len(lines), "names": f"{fnv(chr(10).join(lines)):016x}", "parameters": trained}


def digest(name, gradient):
    flat = gradient.double().flatten()
    weights = torch.from_numpy(numbers(f"{name}@", flat.numel()))
    return [float(flat.norm()), float(flat @ weights)]
