"""Makes wgrad's golden test values: one conformance case file per family of operations.

    python -m venv venv && venv/bin/pip install torch torchvision timm torchmetrics scikit-learn numpy safetensors
    venv/bin/python make_golden.py [OUTDIR]

The files are written to OUTDIR (this script's folder by default), then read back and checked. CPU PyTorch is
enough, and a run takes a few seconds. The families are the lists `FAMILIES` of the modules in `families/`.

Inputs and cotangents are random float32 values (or chosen ones, to hit ties and special values). Outputs and
gradients are computed from them by PyTorch in float64 and stored as float32, so an expected value is off by half
a unit in the last place at most and the tolerances only have to cover the float32 arithmetic of the
implementation under test. Each operation draws from its own generator, seeded by its name: changing the cases of
one operation leaves the values of the others alone.

The check at the end runs every case again in its own types from the stored file and wants the error to stay below a
third of the stored tolerance; it also makes sure that the `raises` cases raise.
"""

import importlib
import json
import pkgutil
import re
import sys
import warnings
from collections import Counter
from pathlib import Path

import torch
from safetensors import safe_open

import families
from harness import INF, File, named, refusal, run_case, unlisted

# The case that a tensor of a file belongs to.
OWNER = re.compile(r"(.*?)\.(arg|out|cot|grad)\.")


def used_tolerance(got, expected, rtol, atol):
    """The largest error of an element as a fraction of its tolerance; infinite where the tensors cannot agree."""
    if got.shape != expected.shape or got.dtype != expected.dtype:
        return INF
    got, expected = got.double(), expected.double()
    same = (got == expected) | (got.isnan() & expected.isnan())
    error = torch.where(same, 0.0, (got - expected).abs() / (atol + rtol * expected.abs()))
    return error.nan_to_num(INF, INF).max().item() if error.numel() else 0.0


def check_case(case, tensors):
    """The largest used fraction of the tolerance over the outputs and gradients, in float32."""
    name, op, attrs = case["name"], case["op"], case["attrs"]

    def stored(kind):
        prefix = f"{name}.{kind}."
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    args = stored("arg")
    args = {k: args[k] for k in unlisted(case["args"])}
    cotangents = {int(i): c for i, c in stored("cot").items()}
    expected = {f"{kind}.{k}": v for kind in ("out", "grad") for k, v in stored(kind).items()}
    differentiable = [k.removeprefix("grad.") for k in expected if k.startswith("grad.")]
    assert case["grad"] == bool(differentiable) == bool(cotangents), name
    assert case["outputs"] == len(expected) - len(differentiable), name
    if case["raises"]:
        assert refusal(op, args, attrs) is not None, f"{name} does not raise"
        return 0.0
    got = named(*run_case(op, args, attrs, cotangents, differentiable))
    scales = case.get("scales", {})
    used = (used_tolerance(got[k], expected[k], case["rtol"], case["atol"] * scales.get(k, 1.0)) for k in expected)
    return max(used)


def check_file(path, coarse):
    """Checks a file and prints a line per operation. Returns the number of bad cases, but `coarse` ones."""
    with safe_open(path, "pt") as file:
        cases = json.loads(file.metadata()["cases"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}
    assert len({case["name"] for case in cases}) == len(cases)
    by_case = {case["name"]: {} for case in cases}
    for key, tensor in tensors.items():
        by_case[OWNER.match(key)[1]][key] = tensor
    counts, raising, worst, bad = Counter(), Counter(), Counter(), 0
    # In float16 PyTorch rounds after each of its own steps, which are not wgrad's.
    limit = 1 if path.stem.startswith("half_") else 1 / 3
    for case in cases:
        used = check_case(case, by_case[case["name"]])
        if used > limit and case["name"] not in coarse:
            print(f"  BAD {case['name']} {case['attrs']}: {used:.3f} of the tolerance")
            bad += 1
        op = case["op"]
        counts[op] += 1
        raising[op] += case["raises"]
        worst[op] = max(worst[op], used)
    print(f"{path.name}: {len(cases)} cases, {path.stat().st_size / 1024:.0f} KiB")
    for op in counts:
        print(f"  {op:16} {counts[op]:3} cases ({raising[op]:2} raise), PyTorch uses {worst[op]:.3f} of the tolerance")
    return bad


def main():
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "Using padding='same'")
    warnings.filterwarnings("ignore", ".*degrees of freedom is <= 0")
    warnings.filterwarnings("ignore", "Using a target size")
    warnings.filterwarnings("ignore", "Default (grid_sample|affine_grid)")
    warnings.filterwarnings("ignore", "Since version 1.3.0, (grid_sample|affine_grid)")
    warnings.filterwarnings("ignore", "reduction: 'mean' divides")
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent
    folder.mkdir(parents=True, exist_ok=True)
    print(f"PyTorch {torch.__version__}")
    bad = 0
    for module in sorted(module.name for module in pkgutil.iter_modules(families.__path__)):
        for family in importlib.import_module(f"families.{module}").FAMILIES:
            file = File(family.__name__)
            family(file)
            file.save(folder)
            bad += check_file(folder / f"{file.name}.safetensors", file.coarse)
    if bad:
        sys.exit(f"{bad} cases use too much of their tolerance")


if __name__ == "__main__":
    main()
