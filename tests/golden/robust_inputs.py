"""Writes robust_inputs.json: transforms of images before a network, by scipy and numpy.

    python tests/golden/robust_inputs.py

The images are those of `robust.py`. Depths of bits are the formula of Xu et al. (2017), medians scipy's with mirrored borders.
"""

import json
import pathlib

import numpy as np
from scipy.ndimage import median_filter

from robust import images


def main():
    x = images().numpy()
    found = {
        "bits_1": np.round(x),
        "bits_4": np.round(x * 15.0) / 15.0,
        "median_3": median_filter(x, size=(1, 1, 3, 3), mode="mirror"),
        "median_5": median_filter(x, size=(1, 1, 5, 5), mode="mirror"),
    }
    golden = {name: [float(f"{value:.12g}") for value in image.flatten().tolist()] for name, image in found.items()}
    path = pathlib.Path(__file__).with_name("robust_inputs.json")
    path.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in golden.items()) + "\n}\n")


if __name__ == "__main__":
    main()
