"""Writes the small files under `files/weights/` that the tests read: one state dictionary in every form in which PyTorch
wrote it since 0.1.10, and NumPy; and files that mean harm.

    python tests/data/make_weights.py      (numpy, torch, safetensors)
"""

import collections
import io
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

FILES = Path(__file__).parent / "files" / "weights"


def state():
    """Element `i` of each tensor of floats, in its own order, is `i / 4 - 2`; that of integers and truth values is below."""
    counted = lambda *shape: torch.arange(int(np.prod(shape)), dtype=torch.float32).reshape(shape) / 4 - 2
    whole = counted(4, 6)
    return collections.OrderedDict(
        f64=counted(2, 3).double(),
        f32=counted(2, 3),
        f16=counted(2, 3).half(),
        bf16=counted(2, 3).bfloat16(),
        i64=torch.arange(-2, 4).reshape(2, 3),
        i32=torch.arange(-2, 4, dtype=torch.int32),
        i16=torch.arange(-2, 4, dtype=torch.int16),
        i8=torch.arange(-2, 4, dtype=torch.int8),
        u8=torch.arange(6, dtype=torch.uint8),
        truth=torch.arange(6) % 2 == 0,
        scalar=torch.tensor(0.25),
        empty=torch.zeros(0, 3),
        # Three tensors of one storage: all of it, every second column from the second row on, and its transposed.
        whole=whole,
        part=whole[1:, ::2],
        transposed=whole.t(),
        expanded=counted(3)[:, None].expand(3, 2),
        parameter=torch.nn.Parameter(counted(2)),
    )


class Call:
    """Pickled as a call."""

    def __init__(self, callable, *arguments):
        self.callable, self.arguments = callable, arguments

    def __reduce__(self):
        return self.callable, self.arguments


def forms():
    torch.save(state(), FILES / "zip.pth")
    torch.save(state(), FILES / "older.pth", _use_new_zipfile_serialization=False)
    torch.save(state(), FILES / "protocol4.pth", pickle_protocol=4)
    tensors = {name: tensor.detach().contiguous().clone() for name, tensor in state().items()}
    safetensors.torch.save_file(tensors, FILES / "state.safetensors")
    arrays = {name: tensor.numpy() for name, tensor in tensors.items() if name not in ("bf16", "i16", "i8")}
    # NumPy keeps columns together where they were.
    arrays["transposed"] = np.asfortranarray(arrays["transposed"])
    arrays["f64"] = arrays["f64"].astype(">f8")
    np.savez(FILES / "stored.npz", **arrays)
    np.savez_compressed(FILES / "deflated.npz", **arrays)
    with zipfile.ZipFile(FILES / "zip.pth") as stored, zipfile.ZipFile(
        FILES / "deflated.pth", "w", zipfile.ZIP_DEFLATED
    ) as deflated:
        for name in stored.namelist():
            deflated.writestr(name, stored.read(name))


def nested():
    """Checkpoints as training scripts write them."""
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    with torch.no_grad():
        for i, tensor in enumerate(model.state_dict().values()):
            tensor.copy_(torch.arange(tensor.numel()).reshape(tensor.shape) + i)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.zeros(4, 2)).sum().backward()
    for i, tensor in enumerate(model.state_dict().values()):
        tensor.copy_(torch.arange(tensor.numel()).reshape(tensor.shape) + i)
    sgd.step()
    with torch.no_grad():
        for i, tensor in enumerate(model.state_dict().values()):
            tensor.copy_(torch.arange(tensor.numel()).reshape(tensor.shape) + i)
    parallel = collections.OrderedDict((f"module.{name}", tensor) for name, tensor in model.state_dict().items())
    ema = collections.OrderedDict((name, tensor + 100) for name, tensor in model.state_dict().items())
    checkpoint = {
        "epoch": 3, "best": 0.5, "arch": "mlp", "state_dict": parallel, "ema": ema, "optimizer": sgd.state_dict(),
        "args": {"size": torch.Size([2]), "device": torch.device("cpu"), "dtype": torch.float32, "seen": {1, 2}},
    }
    torch.save(checkpoint, FILES / "checkpoint.pth")
    torch.save(checkpoint, FILES / "checkpoint_older.pth", _use_new_zipfile_serialization=False)


def in_zip(name, data, storages={}, folder="archive/"):
    packing = zipfile.ZIP_DEFLATED if len(data) > 1000 else zipfile.ZIP_STORED
    with zipfile.ZipFile(FILES / f"{name}.pth", "w", packing) as file:
        file.writestr(f"{folder}data.pkl", data)
        for key, bytes in storages.items():
            file.writestr(f"{folder}data/{key}", bytes)


def tensor_call(elements=4, offset=0, size=(2, 2), stride=(2, 1), key="0"):
    """A state dictionary of one f32 tensor `w`, by hand."""
    number = lambda n: pickle.dumps(n, 2)[2:-1]
    numbers = lambda items: b"(" + b"".join(map(number, items)) + b"t"
    text = lambda t: b"X" + struct.pack("<I", len(t)) + t.encode()
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu") + number(elements) + b"tQ"
    call = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(offset) + numbers(size) + numbers(stride)
    return b"\x80\x02}" + text("w") + call + b"\x89}tRs."


def hostile():
    in_zip("system", pickle.dumps({"w": Call(os.system, "touch /tmp/harmed")}, 2))
    in_zip("system4", pickle.dumps({"w": Call(os.system, "touch /tmp/harmed")}, 4))
    in_zip("eval", pickle.dumps(Call(eval, "1"), 2))
    in_zip("getattr", pickle.dumps(Call(getattr, "a", "b"), 2))
    in_zip("inst", b"(S'touch /tmp/harmed'\nios\nsystem\n.")
    torch.save(torch.nn.Linear(2, 2), FILES / "module.pth")
    older = io.BytesIO()
    torch.save({"w": Call(os.system, "touch /tmp/harmed")}, older, _use_new_zipfile_serialization=False)
    (FILES / "system_older.pth").write_bytes(older.getvalue())
    (FILES / "plain.pkl").write_bytes(pickle.dumps({"w": 1.0}, 2))
    # Lists within lists, and dictionaries that hold the one before twice.
    in_zip("deep", b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".")
    in_zip("deep_tuples", b"\x80\x02)" + b"\x85" * 100_000 + b".")
    for name, levels in [("twice", 14), ("twice_deep", 60)]:
        nested = {"w": torch.tensor([1.0, 2.0])}
        for _ in range(levels):
            nested = {"a": nested, "b": nested}
        torch.save(nested, FILES / f"{name}.pth")
    in_zip("itself", b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.")
    in_zip("memo", b"\x80\x02" + b"Nr\xff\xff\xff\xff0" * 10 + b"}.")
    in_zip("long_text", b"\x80\x02X\xff\xff\xff\xffabc.")
    in_zip("longer_text", b"\x80\x04\x8d" + b"\xff" * 8 + b"abc.")
    in_zip("long_number", b"\x80\x02\x8b\xff\xff\xff\x7f1.")
    good = {"0": struct.pack("<4f", 1, 2, 3, 4)}
    in_zip("good", tensor_call(), good)
    in_zip("storage_short", tensor_call(), {"0": good["0"][:12]})
    in_zip("storage_lies", tensor_call(elements=10**12, size=(10**6, 10**6), stride=(10**6, 1)), good)
    in_zip("storage_missing", tensor_call(), {"1": good["0"]})
    in_zip("beyond", tensor_call(offset=1), good)
    in_zip("stride_beyond", tensor_call(stride=(3, 1)), good)
    in_zip("negative", tensor_call(stride=(-2, 1)), good)
    in_zip("overflow", tensor_call(size=(2**62, 2**62), stride=(1, 1)), good)
    in_zip("overflow_strides", tensor_call(stride=(2**62, 2**62)), good)
    in_zip("expanded_far", tensor_call(size=(10**6, 10**5), stride=(0, 0)), good)
    in_zip("up", tensor_call(key="../../0"), {"0": good["0"]})
    in_zip("up_there", tensor_call(key="../../0"), {"../../0": good["0"]}, folder="../")
    # A directory that claims more than there is, and a member that unpacks to a thousand times its size.
    bytes = bytearray((FILES / "good.pth").read_bytes())
    at = bytes.rindex(b"PK\x01\x02")
    bytes[at + 20 : at + 28] = struct.pack("<2I", 0x7FFFFFFF, 0x7FFFFFFF)
    (FILES / "member_lies.pth").write_bytes(bytes)
    with zipfile.ZipFile(FILES / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as file:
        elements = 1 << 25
        file.writestr("archive/data.pkl", tensor_call(elements, size=(elements,), stride=(1,)))
        file.writestr("archive/data/0", b"\0" * (4 * elements))
    with zipfile.ZipFile(FILES / "bomb_pickle.pth", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", b"\x80\x02" + b"N" * (1 << 24) + b".")


FILES.mkdir(exist_ok=True)
torch.manual_seed(0)
forms()
nested()
hostile()
