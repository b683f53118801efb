"""Makes `transforms_{sizes,crops,warps}.safetensors`: torchvision's geometric transforms.

    venv/bin/python geometry.py [OUTDIR]

The same versions as for `make_golden.py`. Inputs are float32 between 0 and 1, or uint8, and torchvision computes in the types
that it chooses for them. An attribute that torchvision takes one number for is a list where each image has its own; such a
case is torchvision's result image by image. Floats must agree to 1e-5 and bytes to 1. Gradients are for random cotangents.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torchvision.transforms.v2 import functional as F

OUT = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
TENSORS, CASES = {}, []
GENERATOR = torch.Generator().manual_seed(19)


def floats(*shape):
    return torch.rand(shape, generator=GENERATOR)


def bytes_(*shape):
    return torch.randint(0, 256, shape, generator=GENERATOR, dtype=torch.uint8)


def outputs(op, image, args, attrs):
    result = getattr(F, op)(image, **args, **attrs)
    return list(result) if isinstance(result, (tuple, list)) else [result]


def case(op, image, by_image=(), args={}, grad=False, **attrs):
    """A case; the attributes `by_image` are lists of a number for each."""
    name = f"{op}.{sum(case['op'] == 'transforms.' + op for case in CASES)}"
    image.requires_grad_(grad)
    if by_image:
        each = [{k: v[n] if k in by_image else v for k, v in attrs.items()} for n in range(len(image))]
        results = [torch.stack([outputs(op, one, args, some)[0] for one, some in zip(image, each)])]
    else:
        results = outputs(op, image, args, attrs)
    entry = {"name": name, "op": "transforms." + op, "args": ["inpt", *args], "attrs": attrs, "outputs": len(results)}
    is_float = results[0].dtype.is_floating_point
    CASES.append(entry | {"grad": grad, "rtol": 0.0, "atol": 1e-5 if is_float else 1.0, "raises": False})
    for key, value in {"inpt": image, **args}.items():
        TENSORS[f"{name}.arg.{key}"] = value.detach().contiguous().clone()
    for i, result in enumerate(results):
        TENSORS[f"{name}.out.{i}"] = result.detach().contiguous().clone()
    if grad:
        cotangents = [torch.randn(result.shape, generator=GENERATOR) for result in results]
        TENSORS.update({f"{name}.cot.{i}": cotangent for i, cotangent in enumerate(cotangents)})
        TENSORS[f"{name}.grad.inpt"] = torch.autograd.grad(results, image, cotangents)[0]


def raises(op, image, **attrs):
    try:
        outputs(op, image, {}, attrs)
        raise SystemExit(f"{op} {attrs} is no error")
    except (ValueError, TypeError, RuntimeError):
        pass
    name = f"{op}.{sum(case['op'] == 'transforms.' + op for case in CASES)}"
    entry = {"name": name, "op": "transforms." + op, "args": ["inpt"], "attrs": attrs, "outputs": 0, "grad": False}
    CASES.append(entry | {"rtol": 0.0, "atol": 0.0, "raises": True})
    TENSORS[f"{name}.arg.inpt"] = image


def sizes():
    for mode in ("nearest", "nearest-exact", "bilinear", "bicubic"):
        for size in ([5, 4], [11, 13], 6, [9, 7]):
            case("resize", floats(2, 2, 9, 7), size=size, interpolation=mode)
            case("resize", bytes_(1, 3, 9, 7), size=size, interpolation=mode)
        case("resize", floats(1, 1, 12, 9), size=[5, 4], interpolation=mode, antialias=False)
        case("resize", bytes_(1, 1, 12, 9), size=[5, 14], interpolation=mode, antialias=False)
    case("resize", floats(3, 13, 8), size=[4], max_size=6, grad=True)
    case("resize", floats(3, 8, 13), size=None, max_size=9)
    case("resize", bytes_(1, 3, 16, 5), size=4, max_size=20)
    raises("resize", floats(1, 1, 4, 4), size=4, max_size=3)
    raises("resize", floats(1, 1, 4, 4), size=[4, 4], max_size=8)


def crops():
    for image in (floats(2, 3, 6, 7), bytes_(3, 6, 7)):
        for top, left, height, width in [(1, 2, 3, 4), (-2, 1, 5, 3), (4, 5, 4, 5), (-3, -2, 12, 11), (0, 0, 6, 7), (7, 1, 2, 2)]:
            case("crop", image, top=top, left=left, height=height, width=width)
        for size in (3, [4, 4], [9, 5], [3, 12], [8, 9]):
            case("center_crop", image, output_size=size)
        case("five_crop", image, size=[3, 4])
        case("ten_crop", image, size=2)
        case("ten_crop", image, size=[2, 3], vertical_flip=True)
        case("horizontal_flip", image)
        case("vertical_flip", image)
        for padding in (2, [1, 3], [0, 1, 2, 3]):
            case("pad", image, padding=padding)
            case("pad", image, padding=padding, fill=7)
            for mode in ("edge", "reflect", "symmetric"):
                case("pad", image, padding=padding, padding_mode=mode)
    case("pad", floats(1, 3, 4, 5), padding=[1, 2, 1, 0], fill=[0.1, 0.5, 0.9])
    case("pad", bytes_(1, 3, 4, 5), padding=1, fill=[1.0, 50.0, 255.0])
    raises("five_crop", floats(1, 1, 4, 4), size=[5, 4])
    raises("pad", floats(1, 1, 4, 4), padding=4, padding_mode="reflect")
    regions = {"top": [0, 2, -1], "left": [1, -2, 3]}
    case("crop", floats(3, 2, 6, 5), ("top", "left"), **regions, height=4, width=3)
    case("crop", bytes_(3, 2, 6, 5), ("top", "left"), **regions, height=4, width=3)


def resized_crops():
    names = ("top", "left", "height", "width")
    inside = {"top": [0, 2, 5], "left": [1, 0, 3], "height": [16, 5, 3], "width": [9, 13, 4]}
    for mode in ("nearest", "nearest-exact", "bilinear", "bicubic"):
        case("resized_crop", floats(2, 2, 9, 8), top=1, left=2, height=6, width=5, size=[4, 7], interpolation=mode)
        for make in (floats, bytes_):
            case("resized_crop", make(3, 2, 16, 13), names, **inside, size=[5, 6], interpolation=mode)
    case("resized_crop", floats(3, 2, 16, 13), names, **inside, size=[5, 6], antialias=False, grad=True)
    case("resized_crop", floats(3, 2, 16, 13), names, **inside, size=[6, 5], grad=True)
    # Past the edges.
    past = {"top": [-2, 9], "left": [-3, 5], "height": [9, 12], "width": [20, 6]}
    case("resized_crop", floats(2, 1, 16, 13), names, **past, size=[5, 6])


def warps():
    for mode in ("nearest", "bilinear"):
        for fill in (None, 0.0, [0.2, 0.9]):
            # A quarter turn of an image that is not square takes each element from between two others.
            for angle in (0, 37.0, -100.5, 180, *([90] if mode == "bilinear" else [])):
                case("rotate", floats(2, 2, 6, 7), angle=angle, interpolation=mode, fill=fill)
            case("rotate", floats(1, 2, 6, 7), angle=23.5, interpolation=mode, expand=True, fill=fill)
            case("rotate", floats(1, 2, 6, 7), angle=290.0, interpolation=mode, center=[1.0, 5.5], fill=fill)
            shear = {"angle": 15.3, "translate": [2, -1], "scale": 1.3, "shear": [10.0, -5.0]}
            case("affine", floats(2, 2, 7, 6), **shear, interpolation=mode, fill=fill)
            case("affine", floats(1, 2, 7, 6), **shear, interpolation=mode, fill=fill, center=[1.0, 2.0])
            points = {"startpoints": [[0, 0], [6, 0], [6, 7], [0, 7]], "endpoints": [[1.3, 0.2], [5.1, 1.4], [6.2, 6.6], [0.7, 5.3]]}
            case("perspective", floats(2, 2, 8, 7), **points, interpolation=mode, fill=fill)
            bend = {"displacement": 0.3 * (floats(1, 8, 7, 2) - 0.5)}
            case("elastic", floats(2, 2, 8, 7), args=bend, interpolation=mode, fill=fill)
        case("rotate", bytes_(1, 3, 6, 7), angle=-33.0, interpolation=mode, fill=[20, 130, 250])
        case("affine", bytes_(1, 3, 6, 7), angle=3.0, translate=[0, 1], scale=0.7, shear=[4.0, 0.0], interpolation=mode)
        case("perspective", bytes_(1, 3, 8, 7), **points, interpolation=mode, fill=9)
        case("elastic", bytes_(1, 3, 8, 7), args=bend, interpolation=mode, fill=9)
    case("rotate", floats(1, 2, 6, 6), angle=90)
    for angle in (90, 180, 270):
        case("rotate", bytes_(1, 1, 4, 7), angle=angle, expand=True)
    case("rotate", floats(1, 2, 6, 7), angle=23.5, interpolation="bilinear", grad=True)
    case("affine", floats(1, 2, 6, 7), angle=23.5, translate=[1, 0], scale=0.8, shear=[0.0, 9.0], interpolation="bilinear", grad=True)
    case("perspective", floats(1, 2, 8, 7), **points, interpolation="bilinear", grad=True)
    case("elastic", floats(1, 2, 8, 7), args=bend, grad=True)
    coefficients = [0.9, 0.1, 0.3, -0.05, 1.1, 0.2, 0.01, 0.02]
    case("perspective", floats(1, 2, 8, 7), startpoints=None, endpoints=None, coefficients=coefficients)
    for fill in (None, 0.3):
        case("rotate", floats(3, 2, 6, 7), ("angle",), angle=[10.0, -75.0, 0.0], interpolation="bilinear", fill=fill)
    raises("rotate", floats(1, 1, 4, 4), angle=10.0, interpolation="bicubic")
    raises("affine", floats(1, 1, 4, 4), angle=10.0, translate=[0, 0], scale=-1.0, shear=[0.0, 0.0])
    raises("rotate", floats(1, 3, 4, 4), angle=10.0, fill=[0.0, 1.0])


for name, makers in {"sizes": (sizes, resized_crops), "crops": (crops,), "warps": (warps,)}.items():
    TENSORS, CASES = {}, []
    for make in makers:
        make()
    path = OUT / f"transforms_{name}.safetensors"
    save_file(TENSORS, path, {"cases": json.dumps(CASES)})
    print(f"{len(CASES)} cases, {path.stat().st_size} bytes")
