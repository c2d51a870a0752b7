"""Transforms of images: the table from which make_transforms.py writes MXNet's answers.

A case is a name, what is done, its arguments, and the image: 'bytes', 'floats' or 'tensor' (channels first).
"""

import numpy as np

TRANSFORMS = [
    ("cast", "Cast", ("float32",), "bytes"),
    ("to tensor", "ToTensor", (), "bytes"),
    ("to tensor of floats", "ToTensor", (), "floats"),
    ("to tensor of a batch", "ToTensor", (), "batch"),
    ("normalize", "Normalize", ((0.1, 0.2, 0.3), (0.5, 0.6, 0.7)), "tensor"),
    ("normalize by one number", "Normalize", (0.4, 0.5), "tensor"),
    ("resize", "Resize", ((4, 9),), "bytes"),
    ("resize floats", "Resize", ((4, 9),), "floats"),
    ("resize a batch", "Resize", (6,), "batch"),
    ("resize, ratio kept", "Resize", (4, True), "bytes"),
    ("resize, nearest", "Resize", ((4, 9), False, 0), "bytes"),
    ("resize, cubic", "Resize", ((11, 9), False, 2), "floats"),
    ("resize, cubic bytes", "Resize", ((4, 9), False, 2), "bytes"),
    ("resize, area", "Resize", ((3, 2), False, 3), "floats"),
    ("resize, area bytes", "Resize", ((4, 3), False, 3), "bytes"),
    ("resize, area enlarged", "Resize", ((10, 8), False, 3), "floats"),
    ("resize, Lanczos", "Resize", ((11, 9), False, 4), "floats"),
    ("crop", "CropResize", (1, 2, 4, 3), "bytes"),
    ("crop and resize", "CropResize", (1, 0, 4, 5, (6, 3), 1), "bytes"),
    ("crop of a batch", "CropResize", (1, 2, 4, 3), "batch"),
    ("center", "CenterCrop", ((4, 3),), "bytes"),
    ("center enlarged", "CenterCrop", ((12, 6),), "bytes"),
    ("center of floats", "CenterCrop", (6,), "floats"),
    ("rotate", "Rotate", (30.0,), "tensor"),
    ("rotate to the left", "Rotate", (-75.0,), "tensor"),
    ("rotate, zoom in", "Rotate", (30.0, True), "tensor"),
    ("rotate, zoom out", "Rotate", (200.0, False, True), "tensor"),
]
# Operators with a random factor between two numbers, which are one here; the functions of pixels that they are.
COLORS = [
    ("random_brightness", "brighter", 1.3),
    ("random_brightness", "brighter", 0.4),
    ("random_contrast", "more_contrast", 1.5),
    ("random_contrast", "more_contrast", 0.2),
    ("random_saturation", "more_saturated", 1.6),
    ("random_saturation", "more_saturated", 0.3),
    ("random_hue", "other_hue", 0.2),
    ("random_hue", "other_hue", 0.9),
]
LIGHT = (0.05, -0.1, 0.2)


def images():
    numbers = np.random.RandomState(7)
    pixels = numbers.randint(0, 256, (2, 5, 7, 3)).astype("uint8")
    floats = numbers.uniform(0, 255, (5, 7, 3)).astype("float32")
    return {"bytes": pixels[0], "batch": pixels, "floats": floats, "tensor": floats.transpose(2, 0, 1) / 255}
