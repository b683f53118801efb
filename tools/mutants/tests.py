"""Which tests would find a mutant, the cheapest first."""

import json
import re
import struct
from functools import cache

from draw import ROOT

# Those that run an operation's cases, or a file of golden values, or an operation over many workgroups.
LIKELIEST = ["ops", "planner", "training", "extents"]
# Those that hold for everything, in the order of what they cost.
REST = [("wgrad", []), ("ops", []), ("planner", ["fusion::", "loads::", "replay::"]), ("training", ["optim::", "nn::", "models::"]),
        ("devices", ["profile::"]), ("programs", []), ("extents", [])]

# Tests of the kinds of adapters that templates are for.
KINDS = {
    "_(tiled|cooperative).wgsl": "kernels_for_gpus",
    "_(plain|strips).wgsl": "plain_kernels",
    "_(blocks|strips|shuffle|vector|eights|spread|output).wgsl": "kernels_agree",
}

# Operations of templates whose file names none, or too many.
OPERATIONS = {
    "shaders/losses/label_place.wgsl": ["nll_loss", "cross_entropy"],
    "shaders/plan/pointwise.wgsl": ["add", "where", "lerp"],
    "shaders/plan/rows.wgsl": ["sum", "softmax", "layer_norm", "var"],
    "shaders/reduce/sum_rows.wgsl": ["sum", "matmul", "conv2d"],
    "shaders/import/adaptive_": ["adaptive_avg_pool2d", "adaptive_max_pool2d"],
    "shaders/import/conv_": ["conv2d", "conv3d", "conv_transpose2d"],
    "shaders/import/ctc_": ["ctc_loss"],
    "shaders/import/matmul_": ["matmul", "linear", "bmm"],
    "shaders/import/pool_": ["max_pool2d", "avg_pool2d"],
    "shaders/import/roi_": ["roi_align", "roi_pool"],
    "shaders/lib/integer_quotient.wgsl": ["floor_divide", "remainder", "fmod"],
    "shaders/lib/quotient.wgsl": ["div", "remainder", "fmod", "floor_divide"],
    "shaders/lib/pattern.wgsl": ["linspace", "arange", "eye", "tril"],
    "shaders/sort/permute.wgsl": ["sort"],
    "shaders/resample/resample.wgsl": ["interpolate", "grid_sample"],
    "shaders/lib/size.wgsl": ["conv2d", "sum"],
    "shaders/lib/not_a_number.wgsl": ["relu", "amax", "max", "maximum", "isnan"],
    "shaders/conv/": ["conv2d", "conv3d", "conv_transpose2d"],
    "shaders/matmul/": ["matmul", "linear", "bmm"],
    "shaders/index/sort_": ["sort", "topk", "scatter_add", "index_add", "embedding"],
    "shaders/index/segment": ["scatter_add", "index_add", "embedding"],
    "shaders/index/scan_": ["scatter_add", "sort", "masked_select"],
    "shaders/index/scatter_": ["scatter", "scatter_add"],
    "src/ops/sort/permute.rs": ["sort", "topk"],
    "src/ops/shape/pad/": ["flip", "roll", "pad"],
    "src/plan/codegen/u64_pairs": ["add", "mul", "conv2d"],
    "src/plan/": ["sum", "mul", "softmax", "layer_norm", "cross_entropy", "matmul", "argmax", "amax"],
}


@cache
def operations():
    """All operations, as the table of operations lists them."""
    return set(re.findall(r"^\| (\w+) \|", (ROOT / "docs/OPS.md").read_text(), re.M)) - {"operation"}


@cache
def with_cases():
    """Those of them that have cases; tests refuse a filter that picks none."""
    rows = re.findall(r"^\| (\w+) \|(?:[^|]*\|){4} (\d+) \|", (ROOT / "docs/OPS.md").read_text(), re.M)
    return {op for op, count in rows if count != "0"}


@cache
def golden():
    """The operations of each golden file."""
    found = {}
    for path in sorted(ROOT.glob("tests/golden/*.safetensors")):
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            cases = json.loads(json.loads(file.read(length))["__metadata__"]["cases"])
        found[path.stem] = {case["op"] for case in cases}
    return found


@cache
def named(path):
    """The operations that a file of the library, or else its folder, says it has cases of."""
    quoted = lambda paths: {word for p in paths for word in re.findall(r'"(\w+)"', p.read_text())} & operations()
    return quoted([path]) or quoted(sorted(path.parent.rglob("*.rs")))


def operations_of(mutant):
    """The operations that run what a mutant changes, the likeliest first."""
    for prefix, ops in OPERATIONS.items():
        if mutant.file.startswith(prefix):
            return ops
    if mutant.file.startswith("shaders/lib/"):
        # The rows that call it.
        stem, ops = mutant.file[12:-5], []
        for path in sorted(ROOT.glob("src/ops/pointwise/*.rs")):
            text = path.read_text()
            for call in re.finditer(rf"\b{stem}\(", text):
                ops += [word for word in re.findall(r'"(\w+)"', text[: call.start()]) if word in operations()][-1:]
        return list(dict.fromkeys(ops)) or ["rand", "randn", "randperm", "dropout"]
    if mutant.kind == "template":
        names = [mutant.file.removeprefix("shaders/").removesuffix(".wgsl")]
        if names[0].startswith("import/"):
            line = f"#import {names[0].removeprefix('import/')}\n"
            users = [path for path in sorted(ROOT.glob("shaders/**/*.wgsl")) if line in path.read_text()]
            names += [str(path.relative_to(ROOT / "shaders").with_suffix("")) for path in users]
        is_used = lambda text: any(f'wgsl!("{name}")' in text for name in names)
        users = [path for path in sorted(ROOT.glob("src/ops/**/*.rs")) if is_used(path.read_text())]
        name = names[0]
        ops = set().union(*(named(path) for path in users))
    else:
        # The row or the type around it comes before its other users.
        text = (ROOT / mutant.file).read_text()[: mutant.at]
        ops = named(ROOT / mutant.file)
        before = [word for word in re.findall(r'"(\w+)"', text[-1500:]) if word in ops]
        return before[-1:] + sorted(ops - set(before[-1:]))
    # Of equals, what the file is named after.
    return sorted(ops, key=lambda op: (op not in name, op)) or ["conv2d", "matmul"]


def files_of(ops):
    """Golden files with these operations: those with most of them, and those with special values, of which the suite runs all."""
    shared = {stem: len(ops & set(ops_there)) / len(ops_there) for stem, ops_there in golden().items() if ops & ops_there}
    most = sorted(shared, key=lambda stem: -shared[stem])
    return most[:4] + [stem for stem in most[4:] if "special" in stem]


def commands(mutant, rest):
    """Calls of test binaries: the binary, its arguments, its variables."""
    ops = operations_of(mutant)
    files = files_of(set(ops[:12]))
    ops = [op for op in ops if op in with_cases()]
    if mutant.kind == "planner":
        yield "planner", ["fusion::", "loads::"], {}
    if mutant.kind == "template" and "group" in mutant.before:
        yield "planner", ["shaders::rows_of_a_grid"], {}
    if mutant.file == "shaders/device/bad_index.wgsl":
        yield "training", ["guard::"], {}
    if mutant.kind == "adjoint":
        yield from (("ops", ["gradients::gradients_agree"], {"WGRAD_TEST_OP": op}) for op in ops[:2])
        yield from (("ops", ["golden::golden_values_on_the_reference"], {"WGRAD_TEST_FILE": file}) for file in files)
        yield from (("ops", ["gradients::gradients_agree"], {"WGRAD_TEST_OP": op}) for op in ops[2:8])
    for kind, test in KINDS.items():
        if re.search(kind, mutant.file):
            yield "ops", [f"kernels::{test}"], {"WGRAD_TEST_OP": ops[0]}
    yield from (("ops", ["kernels::"], {"WGRAD_TEST_OP": op}) for op in ops[:8])
    if mutant.kind == "adjoint":
        yield "ops", ["gradients::powers_of_zero"], {}
    else:
        # As many as the suite runs there.
        sample = lambda file: "1" if "special" in file else "3"
        yield from (
            ("ops", ["golden::golden_values_on_the_adapter", "other_kernels"], {"WGRAD_TEST_FILE": file, "WGRAD_TEST_SAMPLE": sample(file)})
            for file in files
        )
    if mutant.file.startswith("shaders/import/adaptive_"):
        yield "extents", ["windows::"], {}
    if mutant.file.startswith("shaders/lib/"):
        yield "ops", ["series::"], {}
    # Columns of ones are asked for where the planner joins a bias's gradient to the weight's.
    if re.search(r"ONES|is_one|is_sum|sees_ones", mutant.before):
        yield "planner", ["fusion::gradients_of_biases"], {}
    # The second row of a folded grid takes more groups than an operation's cases have.
    if rest or "group.y" in mutant.before:
        yield "ops", ["grids::", "large::"], {"WGRAD_TEST_OP": ops[0]}
    if rest:
        yield "planner", ["sizes::"], {"WGRAD_TEST_OP": ops[0]}
        yield from ((binary, filters, {}) for binary, filters in REST)
