"""Asks PyTorch about files of weights; the tests in `weights_pytorch.rs` call it.

    python weights_pytorch.py FOLDER

loads what wgrad saved there, strictly, and saves it again. It ends with 3 where PyTorch is out of reach.
"""

import json
import sys
import zlib
from pathlib import Path

try:
    import numpy as np
    import safetensors.torch
    import torch
    import torchvision
except ImportError as error:
    print(error)
    sys.exit(3)


def listed(state):
    """Shape, type and checksum of every tensor."""
    entries = {}
    for name, tensor in state.items():
        tensor = tensor.detach().contiguous()
        bytes = tensor.view(torch.uint8).numpy().tobytes() if tensor.dim() else tensor.reshape(1).view(torch.uint8).numpy().tobytes()
        entries[name] = {"shape": list(tensor.shape), "dtype": str(tensor.dtype)[6:], "crc": zlib.crc32(bytes)}
    return entries


def round_trip(folder):
    """`resnet18.safetensors` of so many classes as its head has; for NumPy, `resnet18.npz`."""
    state = safetensors.torch.load_file(folder / "resnet18.safetensors")
    net = torchvision.models.resnet18(num_classes=len(state["fc.bias"]))
    net.load_state_dict(state, strict=True)
    arrays = np.load(folder / "resnet18.npz")
    net.load_state_dict({name: torch.from_numpy(arrays[name]) for name in arrays.files}, strict=True)
    half = safetensors.torch.load_file(folder / "resnet18_f16.safetensors")
    assert all(torch.equal(half[name], tensor.half() if tensor.is_floating_point() else tensor) for name, tensor in state.items())
    net.load_state_dict(half, strict=True)
    net.load_state_dict(state, strict=True)
    images = torch.arange(2 * 3 * 32 * 32, dtype=torch.float64).reshape(2, 3, 32, 32).mul(0.7).sin()
    logits = net.double().eval()(images)
    net.float()
    torch.save(net.state_dict(), folder / "zip.pth")
    torch.save({"model": torch.nn.DataParallel(net).state_dict()}, folder / "older.pth", _use_new_zipfile_serialization=False)
    print(json.dumps({"logits": logits.flatten().tolist(), "state": listed(state)}))


if __name__ == "__main__":
    round_trip(Path(sys.argv[1]))
