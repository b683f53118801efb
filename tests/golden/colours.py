"""Makes `transforms_colour.safetensors`: torchvision's colour, histogram and neighbourhood transforms.

    venv/bin/python colours.py [OUTDIR]

The same versions as for `make_golden.py`. Inputs are float32 between 0 and 1, or uint8, and torchvision computes in the types
that it chooses for them. An attribute that torchvision takes one number for is a list where each image has its own; such a
case is torchvision's result image by image. Floats must agree to 1e-5 and bytes to 1.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torchvision.transforms.v2 import functional as F

OUT = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
TENSORS, CASES = {}, []
GENERATOR = torch.Generator().manual_seed(20)


def floats(*shape):
    image = torch.rand(shape, generator=GENERATOR)
    # The ends of the range, which some of these transforms treat apart.
    image.view(-1)[0], image.view(-1)[-1] = 0.0, 1.0
    return image


def bytes_(*shape):
    return torch.randint(0, 256, shape, generator=GENERATOR, dtype=torch.uint8)


def dark(*shape):
    """Few levels, of unequal frequency."""
    image = torch.rand(shape, generator=GENERATOR).square().mul(90).to(torch.uint8)
    image[..., 0, :] = 7
    return image


def add(op, args, attrs, **more):
    name = f"{op}.{sum(case['op'] == 'transforms.' + op for case in CASES)}"
    for key, value in args.items():
        TENSORS[f"{name}.arg.{key}"] = value.contiguous().clone()
    case = {"name": name, "op": "transforms." + op, "args": list(args), "attrs": attrs, "outputs": 1, "grad": False}
    CASES.append(case | {"raises": False} | more)
    return name


def call(op, image, args, attrs):
    attrs = dict(attrs)
    if op == "to_dtype":
        attrs["dtype"] = getattr(torch, attrs["dtype"])
    if op == "posterize":
        attrs["bits"] = int(attrs["bits"])
    return getattr(F, op)(image, **args, **attrs)


def case(op, image, by_image=(), args={}, **attrs):
    """A case; the attributes `by_image` are lists of a number for each."""
    if by_image:
        each = [{k: v[n] if k in by_image else v for k, v in attrs.items()} for n in range(len(image))]
        out = torch.stack([call(op, one, args, attrs) for one, attrs in zip(image, each)])
    else:
        out = call(op, image, args, attrs)
    atol = 1e-5 if out.dtype.is_floating_point else 1.0
    name = add(op, {"inpt": image, **args}, attrs, rtol=0.0, atol=atol)
    TENSORS[f"{name}.out.0"] = out.contiguous().clone()


def raises(op, image, args={}, **attrs):
    try:
        call(op, image, args, attrs)
    except (ValueError, TypeError, RuntimeError):
        add(op, {"inpt": image, **args}, attrs, raises=True, outputs=0, error="Invalid")
        return
    raise AssertionError(f"{op} does not raise")


def both(op, *shape, **attrs):
    case(op, floats(*shape), **attrs)
    case(op, bytes_(*shape), **attrs)


for op, name in [
    ("adjust_brightness", "brightness_factor"),
    ("adjust_contrast", "contrast_factor"),
    ("adjust_saturation", "saturation_factor"),
    ("adjust_sharpness", "sharpness_factor"),
]:
    for factor in [0.0, 0.4, 1.0, 2.3]:
        both(op, 2, 3, 5, 7, **{name: factor})
    both(op, 3, 6, 5, **{name: 1.7})
    both(op, 2, 1, 4, 5, **{name: 0.6})
    both(op, 3, 3, 5, 4, **{name: [0.0, 0.7, 1.9], "by_image": (name,)})
    raises(op, floats(2, 3, 4, 4), **{name: -0.1})
    raises(op, floats(2, 2, 4, 4), **{name: 0.5})
both("adjust_sharpness", 2, 3, 2, 7, sharpness_factor=0.5)
both("adjust_contrast", 1, 3, 30, 25, contrast_factor=0.3)

for factor in [-0.5, -0.2, 0.0, 0.1, 0.5]:
    both("adjust_hue", 2, 3, 5, 7, hue_factor=factor)
grays = torch.tensor([0, 128, 255], dtype=torch.uint8).repeat(3, 4, 1)
# Colours whose channels tie for the largest and the least.
ties = torch.tensor([[9, 9, 0], [9, 0, 9], [0, 9, 9], [9, 5, 5], [5, 9, 5], [5, 5, 9], [0, 0, 0]], dtype=torch.uint8)
for image in [grays, ties.mul(25).t().reshape(3, 1, 7)]:
    case("adjust_hue", image, hue_factor=0.3)
    case("adjust_hue", image / 255, hue_factor=0.3)
both("adjust_hue", 2, 1, 4, 4, hue_factor=0.3)
both("adjust_hue", 3, 3, 5, 4, hue_factor=[-0.3, 0.0, 0.45], by_image=("hue_factor",))
raises("adjust_hue", floats(1, 3, 4, 4), hue_factor=0.6)
raises("adjust_hue", floats(1, 4, 4, 4), hue_factor=0.1)

for gamma, gain in [(0.5, 1.0), (2.2, 1.0), (1.7, 1.5), (0.0, 0.5), (1.0, 1.0)]:
    both("adjust_gamma", 2, 3, 4, 5, gamma=gamma, gain=gain)
both("adjust_gamma", 2, 4, 3, 3, gamma=0.7, gain=1.0)
both("adjust_gamma", 2, 3, 4, 4, gamma=[0.5, 2.0], gain=[1.0, 0.8], by_image=("gamma", "gain"))
raises("adjust_gamma", floats(1, 3, 4, 4), gamma=-1.0, gain=1.0)

for channels in [1, 3]:
    for wanted in [1, 3]:
        both("rgb_to_grayscale", 2, channels, 4, 5, num_output_channels=wanted)
raises("rgb_to_grayscale", floats(1, 3, 4, 4), num_output_channels=2)

both("invert", 2, 3, 4, 5)
both("invert", 2, 2, 4, 5)
for bits in range(9):
    both("posterize", 1, 3, 4, 5, bits=bits)
both("posterize", 2, 5, 4, 5, bits=3)
both("posterize", 2, 3, 4, 5, bits=[2, 7], by_image=("bits",))
raises("posterize", floats(1, 3, 4, 4), bits=9)
case("solarize", floats(2, 3, 4, 5), threshold=0.6)
case("solarize", floats(2, 3, 4, 5), threshold=[0.0, 1.0], by_image=("threshold",))
case("solarize", bytes_(2, 3, 4, 5), threshold=130.0)
case("solarize", bytes_(2, 4, 4, 5), threshold=0.0)
raises("solarize", floats(1, 3, 4, 4), threshold=1.5)
raises("solarize", bytes_(1, 3, 4, 4), threshold=256.0)

for shape in [(2, 3, 5, 7), (2, 1, 4, 4), (3, 5, 6), (0, 3, 4, 4)]:
    case("autocontrast", torch.rand(shape, generator=GENERATOR) * 0.5 + 0.2)
    case("autocontrast", (torch.rand(shape, generator=GENERATOR) * 90 + 60).to(torch.uint8))
flat = bytes_(1, 3, 4, 4)
flat[:, 1] = 77
case("autocontrast", flat)
case("autocontrast", flat / 255)
raises("autocontrast", floats(1, 2, 4, 4))

for image in [dark(2, 3, 18, 17), dark(1, 1, 30, 40), bytes_(1, 3, 17, 19), dark(1, 2, 17, 17), dark(1, 3, 8, 8)]:
    case("equalize", image)
    case("equalize", image / 255)
case("equalize", torch.full((1, 3, 20, 20), 9, dtype=torch.uint8))
case("equalize", bytes_(0, 3, 4, 4))

for size, sigma in [([3, 3], [0.8, 0.8]), ([5, 3], [1.3, 0.4]), ([1, 7], [2.0, 2.0]), ([3, 5], None), ([5, 5], [0.1, 0.1])]:
    both("gaussian_blur", 2, 3, 6, 7, kernel_size=size, sigma=sigma)
both("gaussian_blur", 4, 7, 7, kernel_size=[3, 3], sigma=[1.0, 1.0])
raises("gaussian_blur", floats(1, 3, 6, 6), kernel_size=[4, 3], sigma=[1.0, 1.0])
raises("gaussian_blur", floats(1, 3, 6, 6), kernel_size=[3, 3], sigma=[0.0, 1.0])
raises("gaussian_blur", floats(1, 3, 2, 6), kernel_size=[5, 5], sigma=[1.0, 1.0])
# Each image its own, in both directions alike.
for image in [floats(3, 3, 6, 5), bytes_(3, 3, 6, 5)]:
    sigmas = [0.3, 0.9, 2.0]
    out = torch.stack([F.gaussian_blur(one, [5, 3], [sigma, sigma]) for one, sigma in zip(image, sigmas)])
    atol = 1e-5 if out.dtype.is_floating_point else 1.0
    name = add("gaussian_blur", {"inpt": image}, {"kernel_size": [5, 3], "sigmas": sigmas}, rtol=0.0, atol=atol)
    TENSORS[f"{name}.out.0"] = out.clone()

case("normalize", floats(2, 3, 4, 5), mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
case("normalize", floats(2, 2, 4, 5), mean=[0.5], std=[0.25])
raises("normalize", floats(1, 3, 4, 4), mean=[0.5], std=[0.0])
raises("normalize", floats(1, 3, 4, 4), mean=[0.5, 0.5], std=[1.0])

case("to_dtype", bytes_(2, 3, 4, 5), dtype="float32", scale=True)
case("to_dtype", bytes_(2, 3, 4, 5), dtype="float32", scale=False)
case("to_dtype", floats(2, 3, 4, 5), dtype="uint8", scale=True)
case("to_dtype", floats(2, 3, 4, 5), dtype="float32", scale=True)

both("permute_channels", 2, 3, 4, 5, permutation=[2, 0, 1])
both("permute_channels", 2, 4, 3, 3, permutation=[1, 0, 3, 2])
raises("permute_channels", floats(1, 3, 4, 4), permutation=[0, 1])

both("erase", 2, 3, 5, 6, i=1, j=2, h=3, w=2, args={"v": torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1)})
both("erase", 3, 3, 5, 6, i=[0, 2, 4], j=[5, 1, 0], h=[5, 2, 1], w=[1, 3, 6], args={"v": torch.zeros(1, 1, 1)},
     by_image=("i", "j", "h", "w"))

save_file(TENSORS, OUT / "transforms_colour.safetensors", {"cases": json.dumps(CASES)})
print(len(CASES), "cases")
