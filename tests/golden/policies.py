"""Makes `policies.json`: torchvision's spaces of magnitudes, the tables of AutoAugment, and what each operation makes of an image.

    venv/bin/python policies.py [OUTDIR]

Magnitudes are those for images of 37 rows and 50 columns, without signs.
"""

import json
import sys
from pathlib import Path

import torch
from torchvision.transforms import v2

OUT = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)


def magnitudes(space, bins):
    rows = {name: function(bins, 37, 50) for name, (function, _) in space.items()}
    return {name: [] if row is None else [round(float(value), 6) for value in row] for name, row in rows.items()}


spaces = {
    "RandAugment": magnitudes(v2.RandAugment._AUGMENTATION_SPACE, 31),
    "TrivialAugmentWide": magnitudes(v2.TrivialAugmentWide._AUGMENTATION_SPACE, 31),
    "AutoAugment": magnitudes(v2.AutoAugment._AUGMENTATION_SPACE, 10),
    "AugMix": magnitudes(v2.AugMix._AUGMENTATION_SPACE, 10),
}
signed = sorted(name for name, (_, is_signed) in v2.AutoAugment._AUGMENTATION_SPACE.items() if is_signed)
pairs = {
    policy.name: [[[name, p, bin or 0] for name, p, bin in pair] for pair in v2.AutoAugment(policy)._policies]
    for policy in v2.AutoAugmentPolicy
}

generator = torch.Generator().manual_seed(4)
image = torch.randint(0, 256, (3, 9, 8), generator=generator, dtype=torch.uint8)
policy = v2.RandAugment()
applied = []
for name, strengths in [
    ("Identity", [0.0]),
    ("ShearX", [0.27, -0.9]),
    ("ShearY", [0.27, -0.9]),
    ("TranslateX", [2.8, -3.2]),
    ("TranslateY", [2.8, -3.2]),
    ("Rotate", [20.0, -75.0]),
    ("Brightness", [0.4, -0.8]),
    ("Color", [0.4, -0.8]),
    ("Contrast", [0.4, -0.8]),
    ("Sharpness", [0.4, -0.8]),
    ("Posterize", [3.0, 8.0]),
    ("Solarize", [0.6, 0.0]),
    ("AutoContrast", [0.0]),
    ("Equalize", [0.0]),
    ("Invert", [0.0]),
]:
    for strength in strengths:
        for interpolation in ["nearest", "bilinear"] if name in ("ShearX", "TranslateY", "Rotate") else ["nearest"]:
            out = policy._apply_image_or_video_transform(
                image, name, strength, v2.InterpolationMode(interpolation), {torch.Tensor: None}
            )
            applied.append([name, strength, interpolation, out.flatten().tolist()])

text = json.dumps(
    {"spaces": spaces, "signed": signed, "pairs": pairs, "image": image.flatten().tolist(), "applied": applied},
    separators=(",", ":"),
)
(OUT / "policies.json").write_text(text + "\n")
