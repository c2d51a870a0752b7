"""Writes transforms.npz, what MXNet 1.9.1 answers to transform_cases.py; run it as make_golden.py says."""

import pathlib

import mxnet as mx
import numpy as np
from mxnet import nd
from mxnet.gluon.data.vision import transforms

from transform_cases import COLORS, LIGHT, TRANSFORMS, images


def main():
    given = {name: nd.array(image, dtype=image.dtype) for name, image in images().items()}
    answers = {}
    for name, kind, arguments, image in TRANSFORMS:
        answers[name] = getattr(transforms, kind)(*arguments)(given[image]).asnumpy()
    for operator, _, factor in COLORS:
        for image in ("bytes", "floats"):
            change = getattr(nd.image, operator)
            answers["%s %s %s" % (operator, factor, image)] = change(given[image], factor, factor).asnumpy()
    for image in ("bytes", "floats"):
        answers["light %s" % image] = nd.image.adjust_lighting(given[image], alpha=LIGHT).asnumpy()
    np.savez_compressed(str(pathlib.Path(__file__).parent / "transforms.npz"), **answers)
    print(mx.__version__, len(answers))


main()
