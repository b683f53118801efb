"""Writes the small files under `files/` that the tests read, with the programs that people use to write such files, and under
`expected.npz` what those programs read from them.

    python tests/data/make_files.py      (numpy, pillow)
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

FILES = Path(__file__).parent / "files"


def arrays():
    """Values that the tests compute, too: element `i` of the flat array is `i - 3`, and true where that is even."""
    counted = np.arange(24).reshape(2, 3, 4) - 3
    save = lambda name, array: np.save(FILES / f"{name}.npy", array)
    save("f4", counted.astype("<f4"))
    save("f8_fortran", np.asfortranarray(counted.astype("<f8")))
    save("f4_big_endian", counted.astype(">f4"))
    save("u1", (counted + 3).astype("u1"))
    save("i4_fortran", np.asfortranarray(counted.astype("<i4")))
    save("i8", counted.astype("<i8"))
    save("b1", counted % 2 == 0)
    save("scalar", np.float32(2.5))
    save("empty", np.zeros((0, 3), "f4"))
    save("complex", np.zeros(2, "c8"))
    save("records", np.zeros(2, [("a", "f4"), ("b", "i4")]))
    with open(FILES / "version2.npy", "wb") as file:
        np.lib.format.write_array(file, counted.astype("<f4"), version=(2, 0))
    members = {"images": (counted + 3).astype("u1"), "labels": np.arange(5)}
    np.savez(FILES / "stored.npz", **members)
    np.savez_compressed(FILES / "deflated.npz", **members)


def images():
    folder = FILES / "images"
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(0)
    color = Image.fromarray(random.integers(0, 256, (5, 7, 3), "u1"))
    grey = Image.fromarray(random.integers(0, 256, (5, 7), "u1"))
    clear = color.convert("RGBA")
    clear.putalpha(Image.fromarray(random.integers(0, 256, (5, 7), "u1")))
    deep = random.integers(0, 65536, (5, 7)).astype("u2")
    # A smooth picture, on which decoders of JPEG agree but for rounding.
    y, x = np.mgrid[0:12, 0:16]
    smooth = Image.fromarray(np.stack([x * 15, y * 20, 255 - x * 7 - y * 8], 2).astype("u1"))

    written = {}

    def save(image, name, read=None, **options):
        image.save(folder / name, **options)
        image = ImageOps.exif_transpose(read or Image.open(folder / name))
        for mode in ["L", "RGB", "RGBA"]:
            pixels = np.asarray(image.convert(mode))
            written[f"{name}.{mode}"] = np.ascontiguousarray(pixels.reshape(*pixels.shape[:2], -1).transpose(2, 0, 1))

    for kind in ["png", "bmp", "tiff"]:
        save(color, f"rgb.{kind}")
        save(grey, f"grey.{kind}")
    save(color, "rgb.webp", lossless=True)
    save(clear, "rgba.png")
    save(clear, "rgba.webp", lossless=True, exact=True)
    save(color.quantize(16), "palette.png")
    save(color.quantize(4), "palette.bmp")
    save(grey.convert("1"), "bits.png")
    # Pillow clips 16 bits when it converts them.
    save(Image.fromarray(deep), "deep.png", Image.fromarray(np.round(deep / 257).astype("u1")))
    save(smooth, "smooth.jpg", quality=95, subsampling=0)
    save(smooth.convert("L"), "smooth_grey.jpg", quality=95)
    save(smooth, "smooth.webp", quality=95)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        save(smooth, f"turned{orientation}.jpg", quality=95, subsampling=0, exif=exif)
    save(color, "turned.png", exif=exif)

    masks = FILES / "masks"
    masks.mkdir(exist_ok=True)
    classes = random.integers(0, 4, (5, 7), "u1")
    palette = Image.fromarray(classes, "P")
    palette.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])
    palette.save(masks / "palette.png", bits=2)
    Image.fromarray(classes * 80).save(masks / "grey.png")
    color.save(masks / "rgb.png")
    written["mask"] = classes
    np.savez_compressed(FILES / "expected.npz", **written)


if __name__ == "__main__":
    FILES.mkdir(exist_ok=True)
    arrays()
    images()
