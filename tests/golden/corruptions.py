"""Writes corruptions.json: corrupted images by NumPy, SciPy, scikit-image, OpenCV and Pillow, in float64.

    python tests/golden/corruptions.py

Images and draws follow from their names (`from_names.py`). Each corruption is the formula of ImageNet-C's and CIFAR-C's programs with
their draws as arguments, for images of any size, without their roundings to bytes; those of the JPEG codec, which is Pillow's, stay.
Frost is drawn there as here. Every 61st number is kept.
"""

import io
import json
import math
import pathlib

import cv2
import numpy as np
from PIL import Image
from scipy import ndimage, stats
from skimage.color import hsv2rgb, rgb2hsv
from skimage.filters import gaussian

from from_names import numbers

COUNT, CHANNELS, HEIGHT, WIDTH = SHAPE = (2, 3, 24, 20)
SIDE = 32


def images():
    n, c, y, x = np.indices(SHAPE)
    smooth = 0.5 + 0.3 * np.sin(0.3 * x + 0.7 * c + n) * np.cos(0.2 * y - c)
    values = smooth + 0.15 * numbers("corrupted", smooth.size).reshape(SHAPE)
    return np.clip(values, 0, 1).astype(np.float32).astype(np.float64)


def uniform(name, shape):
    return (numbers(name, math.prod(shape)).reshape(shape) + 1) / 2


def normal(name, shape):
    return 2 * numbers(name, math.prod(shape)).reshape(shape)


def each(images, change):
    """Changes every image, as [H, W, C]."""
    return np.stack([change(image.transpose(1, 2, 0), at).transpose(2, 0, 1) for at, image in enumerate(images)])


def gaussian_noise(x, c):
    return x + normal("gaussian_noise.0", SHAPE) * c


def shot_noise(x, c):
    draws = stats.norm.cdf(normal("shot_noise.0", SHAPE))
    return np.maximum(stats.poisson.ppf(draws, x * c), 0) / c


def impulse_noise(x, c):
    draws = uniform("impulse_noise.0", SHAPE)
    return np.where(draws < c, draws < c / 2, x)


def defocus_blur(x, c):
    radius, softness = c
    reach = max(8, radius)
    places = np.arange(-reach, reach + 1)
    across, down = np.meshgrid(places, places)
    disk = (across**2 + down**2 <= radius**2).astype(np.float64)
    side = 3 if radius <= 8 else 5
    kernel = cv2.GaussianBlur(disk / disk.sum(), (side, side), sigmaX=softness)
    return each(x, lambda image, _: cv2.filter2D(image, -1, kernel))


def glass_blur(x, c):
    sigma, reach, rounds = c
    ways = np.floor(uniform("glass_blur.0", (rounds, COUNT, 2, HEIGHT, WIDTH)) * 2 * reach).astype(int) - reach
    blur = lambda image: gaussian(image, sigma=sigma, mode="nearest", truncate=4.0, channel_axis=-1)

    def change(image, at):
        image = blur(image)
        for turn in range(rounds):
            for h in range(HEIGHT - reach, reach, -1):
                for w in range(WIDTH - reach, reach, -1):
                    dx, dy = ways[turn, at, :, h, w]
                    image[h, w] = image[h + dy, w + dx]
        return blur(image)

    return each(x, change)


def moved(image, radius, sigma, degrees):
    weights = np.exp(-(np.arange(2 * radius + 1) ** 2) / (2 * sigma**2))
    rows, columns = np.indices(image.shape[:2])
    total = np.zeros_like(image)
    for at, weight in enumerate(weights / weights.sum()):
        down = math.ceil(at * math.sin(math.radians(degrees)) - 0.5)
        across = math.ceil(at * math.cos(math.radians(degrees)) - 0.5)
        total += weight * image[np.clip(rows + down, 0, HEIGHT - 1), np.clip(columns + across, 0, WIDTH - 1)]
    return total


def motion_blur(x, c):
    degrees = 90 * uniform("motion_blur.0", (COUNT,)) - 45
    return each(x, lambda image, at: moved(image, *c, degrees[at]))


def zoomed(image, factor):
    inner = [math.ceil(size / factor) for size in image.shape[:2]]
    top, left = [(size - cut) // 2 for size, cut in zip(image.shape, inner)]
    cut = image[top : top + inner[0], left : left + inner[1]]
    large = ndimage.zoom(cut, (factor, factor, 1), order=1)
    top, left = [(size - small) // 2 for size, small in zip(large.shape, image.shape)][:2]
    return large[top : top + image.shape[0], left : left + image.shape[1]]


def zoom_blur(x, c):
    factors = np.arange(*c)
    return each(x, lambda image, _: (image + sum(zoomed(image, f) for f in factors)) / (len(factors) + 1))


def snow(x, c):
    mean, deviation, zoom, least, radius, sigma, colour = c
    flakes = normal("snow.0", (COUNT, HEIGHT, WIDTH, 1)) * deviation + mean
    degrees = 90 * uniform("snow.1", (COUNT,)) - 135

    def change(image, at):
        layer = zoomed(flakes[at], zoom)
        layer = np.clip(np.where(layer < least, 0, layer), 0, 1)
        layer = moved(layer, radius, sigma, degrees[at])
        grey = (image @ [0.299, 0.587, 0.114])[..., None]
        pale = colour * image + (1 - colour) * np.maximum(image, grey * 1.5 + 0.5)
        return pale + layer + np.rot90(layer, k=2)

    return each(x, change)


def plasma(draws, decay):
    side, used, step, wibble = SIDE, 0, SIDE, 100.0
    heights = np.zeros((side, side))

    def around(total):
        nonlocal used
        used += total.size
        return total / 4 + wibble * wibble * (2 * draws[used - total.size : used].reshape(total.shape) - 1)

    while step >= 2:
        half = step // 2
        corners = heights[::step, ::step]
        total = corners + np.roll(corners, -1, 0)
        heights[half::step, half::step] = around(total + np.roll(total, -1, 1))
        middle = heights[half::step, half::step]
        heights[::step, half::step] = around(middle + np.roll(middle, 1, 0) + corners + np.roll(corners, -1, 1))
        heights[half::step, ::step] = around(middle + np.roll(middle, 1, 1) + corners + np.roll(corners, -1, 0))
        step, wibble = half, wibble / decay
    heights -= heights.min()
    return (heights / heights.max())[:HEIGHT, :WIDTH, None]


def fog(x, c):
    density, decay = c
    draws = uniform("fog.0", (COUNT, SIDE * SIDE - 1))
    change = lambda image, at: (image + density * plasma(draws[at], decay)) * image.max() / (image.max() + density)
    return each(x, change)


def frost(x, c):
    points, draws = uniform("frost.0", (COUNT, 24, 2)), uniform("frost.1", (COUNT, SIDE * SIDE - 1))
    down, across = np.meshgrid((np.arange(HEIGHT) + 0.5) / HEIGHT, (np.arange(WIDTH) + 0.5) / WIDTH, indexing="ij")

    def change(image, at):
        far = np.sort([np.hypot(across - px, down - py) for px, py in points[at]], axis=0)
        texture = (np.exp(-40 * (far[1] - far[0]))[..., None] + plasma(draws[at], 2)) / 2
        return c[0] * image + c[1] * texture * [0.88, 0.95, 1.0]

    return each(x, change)


def brightness(x, c):
    def change(image, _):
        hsv = rgb2hsv(image)
        hsv[..., 2] = np.clip(hsv[..., 2] + c, 0, 1)
        return hsv2rgb(hsv)

    return each(x, change)


def contrast(x, c):
    means = x.mean((2, 3), keepdims=True)
    return (x - means) * c + means


def elastic_transform(x, c):
    size, sigma, way = c
    points = (2 * uniform("elastic_transform.0", (COUNT, 3, 2)) - 1) * way
    field = 2 * uniform("elastic_transform.1", (COUNT, 2, HEIGHT, WIDTH)) - 1
    third = min(HEIGHT, WIDTH) // 3
    middle = np.array([WIDTH // 2, HEIGHT // 2])
    corners = middle + third * np.array([[1, 1], [1, -1], [-1, -1]])
    down, across = np.indices((HEIGHT, WIDTH))

    def change(image, at):
        back = np.linalg.solve(np.c_[corners + points[at], np.ones(3)], corners)
        from_x, from_y = np.moveaxis(np.stack([across, down, np.ones_like(down)], -1) @ back, -1, 0)
        sample = lambda channel, y, x, mode: ndimage.map_coordinates(channel, [y, x], order=1, mode=mode)
        turned = [sample(image[..., channel], from_y, from_x, "mirror") for channel in range(CHANNELS)]
        if size == 0:
            return np.stack(turned, -1)
        dx, dy = [gaussian(part, sigma=sigma, mode="reflect", truncate=3) * size for part in field[at]]
        return np.stack([sample(channel, down + dy, across + dx, "reflect") for channel in turned], -1)

    return each(x, change)


def pixelate(x, c):
    def change(image, _):
        size = (int(WIDTH * c), int(HEIGHT * c))
        resize = lambda channel, size: channel.resize(size, Image.BOX)
        channels = [Image.fromarray(image[..., channel].astype(np.float32)) for channel in range(CHANNELS)]
        return np.stack([resize(resize(channel, size), (WIDTH, HEIGHT)) for channel in channels], -1)

    return each(x, change)


def jpeg_compression(x, c):
    def change(image, _):
        file = io.BytesIO()
        Image.fromarray(np.round(image * 255).astype(np.uint8)).save(file, "JPEG", quality=c)
        return np.asarray(Image.open(file)) / 255

    return each(x, change)


# Of ImageNet-C and of CIFAR-C, as in their programs.
NUMBERS = {
    gaussian_noise: ([0.08, 0.12, 0.18, 0.26, 0.38], [0.04, 0.06, 0.08, 0.09, 0.10]),
    shot_noise: ([60, 25, 12, 5, 3], [500, 250, 100, 75, 50]),
    impulse_noise: ([0.03, 0.06, 0.09, 0.17, 0.27], [0.01, 0.02, 0.03, 0.05, 0.07]),
    defocus_blur: (
        [(3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)],
        [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)],
    ),
    glass_blur: (
        [(0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)],
        [(0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)],
    ),
    motion_blur: ([(10, 3), (15, 5), (15, 8), (15, 12), (20, 15)], [(6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)]),
    zoom_blur: (
        [(1, 1.11, 0.01), (1, 1.16, 0.01), (1, 1.21, 0.02), (1, 1.26, 0.02), (1, 1.31, 0.03)],
        [(1, 1.06, 0.01), (1, 1.11, 0.01), (1, 1.16, 0.01), (1, 1.21, 0.01), (1, 1.26, 0.01)],
    ),
    snow: (
        [
            (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
            (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
            (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
            (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
            (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
        ],
        [
            (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
            (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
            (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
            (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
        ],
    ),
    frost: (
        [(1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)],
        [(1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)],
    ),
    fog: ([(1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)], [(0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)]),
    brightness: ([0.1, 0.2, 0.3, 0.4, 0.5], [0.05, 0.1, 0.15, 0.2, 0.3]),
    contrast: ([0.4, 0.3, 0.2, 0.1, 0.05], [0.75, 0.5, 0.4, 0.3, 0.15]),
    elastic_transform: (
        [(244 * a, 244 * b, 244 * c) for a, b, c in [(2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02)]],
        [(32 * a, 32 * b, 32 * c) for a, b, c in [(0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)]],
    ),
    pixelate: ([0.6, 0.5, 0.4, 0.3, 0.25], [0.95, 0.9, 0.85, 0.75, 0.65]),
    jpeg_compression: ([25, 18, 15, 10, 7], [80, 65, 58, 50, 40]),
}


def main():
    golden = {}
    for corruption, scales in NUMBERS.items():
        for scale, levels in zip(("imagenet", "cifar"), scales):
            for level, c in enumerate(levels, 1):
                values = np.clip(corruption(images(), c), 0, 1).flatten()[::61]
                golden[f"{corruption.__name__} {scale} {level}"] = [float(f"{value:.10g}") for value in values]
    path = pathlib.Path(__file__).with_name("corruptions.json")
    path.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in golden.items()) + "\n}\n")


if __name__ == "__main__":
    main()
