"""Writes `autocast_types.json`: the types that PyTorch's operations return under autocast to float16.

    venv/bin/python autocast_types.py

Calls cases of the golden files in this folder, a few an operation, with their floats in float16 (`half`), in float32
(`single`), and the first in float16 and the others in float32 (`mixed`). The lists are those of CUDA, which fake tensors
reach without a device: they have a type and a shape, and nothing is computed.
"""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from torch._subclasses.fake_tensor import FakeTensorMode

from harness import call, unlisted

MOST_CASES = 2
REFUSED = {"index_add"}  # of two types: by a device, and not by a fake tensor
NAMES = {torch.float16: "f16", torch.float32: "f32", torch.bool: "bool", torch.int64: "i32", torch.int32: "i32"}


def retyped(args, how):
    floats = [key for key, value in args.items() if value.is_floating_point()]
    halves = {"half": floats, "single": [], "mixed": floats[:1]}[how]
    to = lambda key: torch.float16 if key in halves else torch.float32
    return {k: v.to(device="cuda", dtype=to(k) if k in floats else v.dtype) for k, v in args.items()}


def types(case, args, how):
    try:
        outputs = call(case["op"], retyped(args, how), case["attrs"])
        return [NAMES[output.dtype] for output in outputs]
    except (RuntimeError, TypeError, ValueError, AssertionError, NotImplementedError, IndexError) as error:
        return "refused" if "unsafe to autocast" in str(error) else None


def main():
    folder = Path(__file__).parent
    torch.set_autocast_enabled("cuda", True)
    torch.set_autocast_dtype("cuda", torch.float16)
    found, seen = [], {}
    for path in sorted(folder.glob("*.safetensors")):
        if "special" in path.stem or path.stem in ("types", "schedules", "initializers") or path.stem.startswith("half_"):
            continue
        with safe_open(path, "pt") as file:
            for case in json.loads(file.metadata()["cases"]):
                if case.get("raises") or "." in case["op"] or seen.get(case["op"], 0) >= MOST_CASES:
                    continue
                args = {n: file.get_tensor(f"{case['name']}.arg.{n}") for n in unlisted(case["args"])}
                with FakeTensorMode() as mode:
                    args = {name: mode.from_tensor(value) for name, value in args.items()}
                    results = {how: types(case, args, how) for how in ("half", "single", "mixed")}
                if not any(value.is_floating_point() for value in args.values()):
                    continue
                results = {how: result for how, result in results.items() if result}
                if len(args) == 1 or case["op"] in REFUSED:
                    results.pop("mixed", None)
                if results:
                    seen[case["op"]] = seen.get(case["op"], 0) + 1
                    found.append({"file": path.stem, "case": case["name"], **results})
    lines = ",\n".join(json.dumps(line) for line in found)
    (folder / "autocast_types.json").write_text(f"[\n{lines}\n]\n")


main()
