"""Where the parameters lie that MXNet's project published. Nothing is downloaded."""

from __future__ import annotations

import hashlib
import os
import pathlib
from typing import Any, TypeVar

from gluonjax.block import Block
from gluonjax.errors import ArgumentError, FileError

PathLike = str | os.PathLike[str]
_Network = TypeVar('_Network', bound=Block)

# The first eight digits of the SHA-1 of each file; they are part of its name.
PUBLISHED = {
    'alexnet': '44335d1f',
    'densenet121': 'f27dbf2d',
    'densenet161': 'b6c8a957',
    'densenet169': '2603f878',
    'densenet201': '1cdbc116',
    'inceptionv3': 'ed47ec45',
    'mobilenet0.25': '9f83e440',
    'mobilenet0.5': '8e9d539c',
    'mobilenet0.75': '529b2c7f',
    'mobilenet1.0': '6b8c5106',
    'mobilenetv2_0.25': 'ae8f9392',
    'mobilenetv2_0.5': 'aabd26cd',
    'mobilenetv2_0.75': 'e2be7b72',
    'mobilenetv2_1.0': '36da4ff1',
    'resnet101_v1': 'd988c13d',
    'resnet101_v2': '18e93e4f',
    'resnet152_v1': '671c637a',
    'resnet152_v2': 'f2695542',
    'resnet18_v1': 'a0666292',
    'resnet18_v2': 'a81db45f',
    'resnet34_v1': '48216ba9',
    'resnet34_v2': '9d6b80bb',
    'resnet50_v1': '0aee57f9',
    'resnet50_v2': 'ecdde353',
    'squeezenet1.0': '264ba497',
    'squeezenet1.1': '33ba0f93',
    'vgg11': 'dd221b16',
    'vgg11_bn': 'ee79a809',
    'vgg13': '6bc5de58',
    'vgg13_bn': '7d97a06c',
    'vgg16': 'e660d456',
    'vgg16_bn': '7f01cf05',
    'vgg19': 'ad2f660d',
    'vgg19_bn': 'f360b758',
}
_model_sha1 = PUBLISHED  # by MXNet's name: libraries on Gluon enter models of theirs, with all digits


def default_root() -> pathlib.Path:
    """The folder that MXNet keeps models in: `$MXNET_HOME/models`, by default `~/.mxnet/models`."""
    return pathlib.Path(os.environ.get('MXNET_HOME', '~/.mxnet')).expanduser() / 'models'


def get_model_file(name: str, root: PathLike | None = None) -> str:
    """The file with the parameters of a model, under the name that MXNet gave it, or as `NAME.params`.

    Args:
        name: the model's, as `get_model` takes it.
        root: the folder; None is `default_root()`.

    Raises:
        FileError: if it is not there, or its content is not what was published under its name.
    """
    folder = default_root() if root is None else pathlib.Path(root).expanduser()
    digits = PUBLISHED.get(name, '')[:8]
    published, own = folder / f'{name}-{digits}.params', folder / f'{name}.params'
    if name in PUBLISHED and published.is_file():
        _check_content(published, digits)
        return str(published)
    if own.is_file():
        return str(own)
    raise FileError(
        f'there are no parameters for {name}, and nothing is downloaded',
        expected=' or '.join(map(str, [published, own] if name in PUBLISHED else [own])),
        got='no such file',
        remedy='put a file there, name its folder by root=, or pass its path: pretrained=path',
    )


def load_pretrained(net: _Network, name: str, pretrained: bool | PathLike, root: PathLike | None, ctx: Any) -> _Network:
    """The network, with the parameters that `pretrained=` asks for: none, those of a path, or the published ones.

    Raises:
        ArgumentError: if `pretrained` is neither a bool nor a path.
        FileError: as `get_model_file`, and if the file is damaged.
        ParamsError: if the file does not fit the network; files that were published have 1000 classes.
    """
    if not isinstance(pretrained, bool | str | os.PathLike):
        raise ArgumentError(f'pretrained must be a bool or the path of a file, got {pretrained!r}')
    if pretrained is not False:
        path = get_model_file(name, root) if pretrained is True else pretrained
        net.load_parameters(path, ctx=ctx)
    return net


def _check_content(path: pathlib.Path, digits: str) -> None:
    with path.open('rb') as file:
        found = hashlib.file_digest(file, 'sha1').hexdigest()
    if not found.startswith(digits):
        raise FileError(
            f'{path} is damaged, or another file than its name says',
            expected=f'a SHA-1 that begins with {digits}',
            got=found,
            remedy='get it again; under another name, pretrained=path takes it as it is',
        )


def purge(root: PathLike | None = None) -> None:
    """Deletes the files of parameters in a folder.

    Args:
        root: the folder; by default MXNet's, `$MXNET_HOME/models`.
    """
    for path in pathlib.Path(root or default_root()).expanduser().glob('*.params'):
        path.unlink()
