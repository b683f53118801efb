"""Makes conformance case files of PyTorch's own operator test samples, one file per operation.

    venv/bin/pip install expecttest torchvision
    venv/bin/python operator_samples.py OUTDIR [--reference-inputs] [OPERATION ..]

The samples are those of `torch.testing._internal.common_methods_invocations.op_db`: what PyTorch tests its operators
with, the calls that must be errors included. Inputs are float32; outputs and gradients for random cotangents are
computed in float64. They are many and large, so they are not kept: `examples/conformance.rs` runs them.
"""

import argparse
import inspect
import json
import math
import sys
import warnings
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch.testing._internal.common_methods_invocations import op_db

NAMES = """
abs neg sign exp expm1 log log1p log2 log10 sqrt rsqrt reciprocal square sin cos tan asin acos atan sinh cosh tanh erf
floor ceil round trunc frac sigmoid logsigmoid clamp isnan isinf isfinite add sub mul div pow maximum minimum atan2 fmod
remainder eq ne lt le gt ge logical_and logical_or logical_xor logical_not where lerp addcmul addcdiv masked_fill
relu relu6 leaky_relu prelu elu selu celu gelu silu mish softplus softsign hardtanh hardsigmoid hardswish tanhshrink
softshrink hardshrink threshold glu
sum mean prod amax amin max min argmax argmin var std norm logsumexp all any cumsum cumprod topk sort argsort
matmul mm bmm addmm linear outer dot einsum mv baddbmm
conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d unfold fold
max_pool1d max_pool2d max_pool3d max_unpool1d max_unpool2d max_unpool3d avg_pool1d avg_pool2d avg_pool3d
adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d
lp_pool1d lp_pool2d lp_pool3d
batch_norm layer_norm group_norm instance_norm rms_norm local_response_norm normalize softmax log_softmax softmin
dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout
reshape view permute transpose t flatten squeeze unsqueeze expand repeat tile cat stack split chunk narrow flip roll pad
tril triu diag diagonal pixel_shuffle pixel_unshuffle channel_shuffle unflatten
index_select gather scatter scatter_add take_along_dim embedding masked_select index_add
interpolate grid_sample affine_grid upsample_nearest upsample_bilinear
cross_entropy nll_loss binary_cross_entropy binary_cross_entropy_with_logits mse_loss l1_loss smooth_l1_loss huber_loss
kl_div hinge_embedding_loss margin_ranking_loss triplet_margin_loss cosine_embedding_loss ctc_loss multi_margin_loss
multilabel_margin_loss multilabel_soft_margin_loss soft_margin_loss poisson_nll_loss gaussian_nll_loss
triplet_margin_with_distance_loss pairwise_distance cosine_similarity
scaled_dot_product_attention multi_head_attention_forward
zeros ones full arange linspace eye one_hot zeros_like ones_like full_like
""".split()

LARGEST = 1 << 18  # elements of a tensor


class Unfit(Exception):
    """A sample that a case file cannot hold."""


def function(short):
    for module in (F, torch, torch.Tensor):
        if hasattr(module, short):
            return getattr(module, short)
    raise Unfit(f"no function {short}")


def plausible(kind, value):
    kind = str(kind)
    optional = kind.startswith("Optional[")
    if value is None:
        return optional
    inner = kind.removeprefix("Optional[").removesuffix("]") if optional else kind
    tensor = isinstance(value, torch.Tensor)
    sequence = isinstance(value, (list, tuple, torch.Size))
    if inner == "Tensor":
        return tensor
    if inner.startswith("List[Tensor") or inner.startswith("List[Optional[Tensor"):
        return sequence and all(isinstance(v, torch.Tensor) for v in value)
    if inner.startswith("List["):
        return sequence or isinstance(value, int)
    if inner in ("number", "Scalar"):
        return isinstance(value, (int, float, bool))
    if inner in ("int", "SymInt"):
        return isinstance(value, (int, torch.dtype, torch.layout)) and not isinstance(value, bool)
    if inner == "bool":
        return isinstance(value, bool)
    if inner == "float":
        return isinstance(value, (int, float))
    if inner == "str":
        return isinstance(value, str)
    return True


def by_schema(short, args, kwargs):
    """The arguments by name, as the first overload that takes them names them."""
    for schema in torch._C._jit_get_schemas_for_operator("aten::" + short):
        if schema.arguments and schema.arguments[0].name == "a":  # numbers only
            continue
        parameters = [p for p in schema.arguments if not p.is_out]
        positional = [p for p in parameters if not p.kwarg_only]
        values = list(args)
        # view(2, 3) as view((2, 3))
        if len(values) > len(positional) and positional and "List[int" in str(positional[-1].type):
            head = len(positional) - 1
            values = values[:head] + [values[head:]]
        if len(values) > len(positional):
            continue
        named = {p.name: v for p, v in zip(positional, values)}
        known = {p.name: p for p in parameters}
        if any(k not in known or k in named for k in kwargs):
            continue
        named |= kwargs
        if any(not p.has_default_value() and p.name not in named for p in parameters):
            continue
        if all(plausible(known[k].type, v) for k, v in named.items()):
            return {("input" if k == "self" else k): v for k, v in named.items()}
    return None


def by_signature(f, args, kwargs):
    try:
        bound = inspect.signature(f).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return None
    names = {}
    for k, v in bound.arguments.items():
        parameter = inspect.signature(f).parameters[k]
        if parameter.kind == parameter.VAR_POSITIONAL:
            if k == "operands":
                names[k] = list(v)
                continue
            return None
        if parameter.kind == parameter.VAR_KEYWORD:
            return None
        names[k] = v
    return names


def named(short, args, kwargs):
    # The samples of these name their first argument differently from the function.
    if short == "einsum":
        return {"equation": args[1], "operands": list(args[0])}
    if short == "where":
        return {"condition": args[1], "input": args[0], "other": args[2]}
    if short == "embedding":
        args = (args[1], args[0], *args[2:])
    if short == "logsigmoid":
        return {"input": args[0]}
    kwargs = {k: v for k, v in kwargs.items() if k not in ("device", "layout", "requires_grad")}
    if kwargs.get("dtype") is torch.float32:
        del kwargs["dtype"]
    f = getattr(F, "_" + short, None) if "pool" in short and hasattr(F, "_" + short) else function(short)
    return by_signature(f, args, kwargs) or by_schema(short, args, kwargs)


def attribute(value):
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (list, tuple, torch.Size)):
        return [attribute(v) for v in value]
    raise Unfit(f"attribute {type(value).__name__}")


def stored(tensor):
    if tensor.layout != torch.strided or tensor.is_complex() or tensor.numel() > LARGEST:
        raise Unfit("tensor")
    tensor = tensor.detach()
    if tensor.dtype in (torch.float64, torch.bfloat16):
        tensor = tensor.float()
    if tensor.dtype in (torch.int8, torch.int16, torch.int32):
        tensor = tensor.long()
    return tensor.contiguous().clone()


def invoke(short, args, attrs):
    grouped = dict(attrs)
    for key, value in args.items():
        name, element, _ = key.partition(".")
        if element:
            grouped.setdefault(name, []).append(value)
        else:
            grouped[name] = value
    grouped = {
        k: (float(v) if v in ("inf", "-inf", "nan") else v) if isinstance(v, str) else v for k, v in grouped.items()
    }
    f = function(short)
    if short == "einsum":
        result = torch.einsum(grouped["equation"], *grouped["operands"])
    elif f is getattr(torch.Tensor, short, None) and not hasattr(F, short):
        x = grouped.pop("input")
        result = getattr(x, short)(**grouped)
    else:
        try:
            result = f(**grouped)
        except TypeError:
            if "input" not in grouped:
                raise
            x = grouped.pop("input")
            result = getattr(x, short)(**grouped)
    result = list(result) if isinstance(result, (tuple, list)) else [result]
    result = [r for r in result if r is not None]
    if not all(isinstance(r, torch.Tensor) for r in result):
        raise Unfit("output")
    return result


def flatten(arguments):
    tensors, attrs = {}, {}
    for key, value in arguments.items():
        if isinstance(value, torch.Tensor):
            tensors[key] = value
        elif isinstance(value, (list, tuple)) and value and all(isinstance(v, torch.Tensor) for v in value):
            tensors.update({f"{key}.{i}": v for i, v in enumerate(value)})
        elif value is not None:
            attrs[key] = attribute(value)
    return tensors, attrs


def listed(args):
    counts = Counter(key.partition(".")[0] for key in args)
    is_list = {key.partition(".")[0] for key in args if "." in key}
    return [f"{name}[{count}]" if name in is_list else name for name, count in counts.items()]


def random_attributes(short, attrs):
    """Whether the result is random."""
    if "dropout" in short and short != "multi_head_attention_forward":
        return attrs.get("training", True) and attrs.get("p", 0.5) not in (0, 1, 0.0, 1.0)
    return attrs.get("dropout_p", 0.0) not in (0, 0.0) and attrs.get("training", True)


class File:
    def __init__(self, short):
        self.short, self.cases, self.tensors = short, [], {}
        self.rng = np.random.default_rng(zlib.crc32(short.encode()))
        self.seen = set()

    def add(self, variant, args, kwargs, raises=False):
        arguments = named(self.short, args, kwargs)
        if arguments is None:
            raise Unfit("no matching signature")
        tensors, attrs = flatten(arguments)
        wants = {k for k, v in tensors.items() if v.requires_grad}
        data = {k: stored(v) for k, v in tensors.items()}
        if random_attributes(self.short, attrs):
            raise Unfit("random")
        name = f"{self.short}{'.' + variant if variant else ''}.{len(self.cases)}"
        if raises:
            try:
                invoke(self.short, {k: v.clone() for k, v in data.items()}, attrs)
            except Unfit:
                raise
            except Exception:
                self.write(name, data, attrs, 0, False, True)
                return
            raise Unfit("raises no more")
        double = {k: v.double() if v.dtype == torch.float32 else v.clone() for k, v in data.items()}
        for k in wants:
            if double[k].is_floating_point():
                double[k].requires_grad_()
        outputs = invoke(self.short, double, attrs)
        if any(o.is_complex() or o.layout != torch.strided or o.numel() > LARGEST for o in outputs):
            raise Unfit("output")
        float_outputs = {i: o for i, o in enumerate(outputs) if o.is_floating_point() and o.requires_grad}
        cotangents = {
            i: torch.from_numpy(np.asarray(self.rng.uniform(-1, 1, tuple(o.shape)), np.float32))
            for i, o in float_outputs.items()
        }
        inputs = {k: v for k, v in double.items() if v.requires_grad}
        grads = {}
        if float_outputs and inputs:
            found = torch.autograd.grad(
                list(float_outputs.values()),
                list(inputs.values()),
                [c.double() for c in cotangents.values()],
                allow_unused=True,
            )
            grads = {k: torch.zeros_like(v) if g is None else g for (k, v), g in zip(inputs.items(), found)}
        else:
            cotangents = {}
        self.write(name, data, attrs, len(outputs), bool(grads), False)
        self.tensors |= {f"{name}.out.{i}": stored(o) for i, o in enumerate(outputs)}
        self.tensors |= {f"{name}.cot.{i}": c for i, c in cotangents.items()}
        self.tensors |= {f"{name}.grad.{k}": stored(g) for k, g in grads.items()}

    def write(self, name, data, attrs, outputs, grad, raises):
        self.cases.append(
            {
                "name": name,
                "op": self.short,
                "args": listed(data),
                "attrs": attrs,
                "outputs": outputs,
                "grad": grad,
                "rtol": 1e-3,
                "atol": 1e-4,
                "raises": raises,
            }
        )
        self.tensors |= {f"{name}.arg.{k}": v for k, v in data.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--reference-inputs", action="store_true")
    parser.add_argument("operations", nargs="*")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    options.folder.mkdir(parents=True, exist_ok=True)
    wanted = [o.removeprefix("nn.functional.") for o in options.operations] or NAMES
    files, seen = {}, set()
    for op in op_db:
        prefix, _, short = op.name.rpartition(".")
        if (
            prefix not in ("", "nn.functional")
            or short not in wanted
            or "grad" in (op.variant_test_name or "").split("_")
        ):
            continue
        if short in ("unfold",) and prefix == "":
            continue
        seen.add(short)
        file = files.setdefault(short, File(short))
        reasons = Counter()
        torch.manual_seed(0)
        gradient = op.supports_autograd
        try:
            dtype = torch.int64 if short == "one_hot" else torch.float32
            make = op.reference_inputs if options.reference_inputs else op.sample_inputs
            samples = list(make("cpu", dtype, requires_grad=gradient and dtype.is_floating_point))
        except Exception as e:
            print(f"{op.name} {op.variant_test_name}: no samples: {e!r}"[:200])
            samples = []
        for sample in samples:
            try:
                file.add(op.variant_test_name, (sample.input, *sample.args), sample.kwargs)
            except Unfit as e:
                reasons[str(e)] += 1
            except Exception as e:
                reasons[repr(e)[:80]] += 1
        if op.error_inputs_func is not None and not options.reference_inputs:
            try:
                errors = list(op.error_inputs("cpu"))
            except Exception as e:
                print(f"{op.name}: no error inputs: {e!r}"[:200])
                errors = []
            for error in errors:
                sample = error.sample_input
                try:
                    file.add("error", (sample.input, *sample.args), sample.kwargs, raises=True)
                except Unfit as e:
                    reasons["error: " + str(e)] += 1
                except Exception as e:
                    reasons["error: " + repr(e)[:80]] += 1
        print(
            f"{op.name} {op.variant_test_name}: {len(file.cases)} cases so far{', left out: ' + str(dict(reasons)) if reasons else ''}"
        )
    total = 0
    for short, file in files.items():
        if file.cases:
            save_file(file.tensors, options.folder / f"{short}.safetensors", {"cases": json.dumps(file.cases)})
            total += len(file.cases)
    print(f"{total} cases; not in PyTorch's list: {sorted(set(wanted) - seen)}")


if __name__ == "__main__":
    main()
