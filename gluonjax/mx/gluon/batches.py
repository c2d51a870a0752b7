"""`gluon.utils`: batches in parts, and gradients clipped together."""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import pathlib
import warnings
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from gluonjax.errors import ArgumentError, FileError
from gluonjax.mx.array import NDArray, array_class, as_jax, call
from gluonjax.mx.context import Context
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.gluon.block import HookHandle
from gluonjax.mx.tape import Tracked

__all__ = [
    'HookHandle',
    'check_sha1',
    'clip_global_norm',
    'download',
    'replace_file',
    'shape_is_known',
    'split_and_load',
    'split_data',
]


def split_data(data: NDArray, num_slice: int, batch_axis: int = 0, even_split: bool = True) -> list[NDArray]:
    """A batch in parts.

    Raises:
        ArgumentError: if `even_split` and the parts would not be alike.
    """
    size = data.shape[batch_axis]
    if even_split and size % num_slice:
        raise ArgumentError(f'{size} samples cannot be split into {num_slice} like parts', remedy='even_split=False')
    if num_slice == 1:
        return [data]
    step, longer = divmod(size, num_slice)  # the first parts have one sample more
    ends = [step * i + min(i, longer) for i in range(num_slice + 1)]
    return [call('slice_axis', data, axis=batch_axis, begin=begin, end=end) for begin, end in itertools.pairwise(ends)]


def split_and_load(
    data: Any, ctx_list: Sequence[Context], batch_axis: int = 0, even_split: bool = True
) -> list[NDArray]:
    """A batch in parts, one for each context."""
    array = data if isinstance(data, NDArray) else array_class()(as_jax(data))
    parts = split_data(array, len(ctx_list), batch_axis, even_split)
    return [part.as_in_context(ctx) for part, ctx in zip(parts, ctx_list, strict=True)]


def clip_global_norm(arrays: Sequence[NDArray], max_norm: float, check_isfinite: bool = True) -> Any:
    """Scales arrays in place so that the norm of all together is at most `max_norm`; returns what it was.

    >>> from gluonjax.mx import nd
    >>> x = nd.array([3, 4])
    >>> clip_global_norm([x], 1)
    5.0
    >>> x.asnumpy().round(4).tolist()
    [0.6000000238418579, 0.800000011920929]
    """
    norm: Any = jnp.sqrt(sum(jnp.sum(jnp.square(x.value.astype('float32'))) for x in arrays))
    factor = jnp.minimum(max_norm / (norm + 1e-8), 1.0)
    for x in arrays:
        x.assign(Tracked(x.value * factor.astype(x.value.dtype)))
    if not check_isfinite:
        return NDArray(norm.reshape(1))
    if not math.isfinite(norm):
        warnings.warn(f'the norm of the gradients is {float(norm)}: they are not finite', UserWarning, stacklevel=2)
    return float(norm)


def shape_is_known(shape: Sequence[int] | None) -> bool:
    """Whether all sizes of a shape are known: none is 0 or -1.

    >>> shape_is_known((1, 0)), shape_is_known((2, 3)), shape_is_known(None)
    (False, True, False)
    """
    return shape is not None and all(size > 0 for size in shape)


def check_sha1(filename: str | os.PathLike[str], sha1_hash: str) -> bool:
    """Whether a file has this SHA-1."""
    return hashlib.sha1(pathlib.Path(filename).read_bytes()).hexdigest() == sha1_hash


def download(
    url: str, path: str | None = None, overwrite: bool = False, sha1_hash: str | None = None, **kwargs: Any
) -> str:
    """The path of the file that a download would write, if it is there.

    Args:
        url: where it would come from.
        path: the file, or its folder.
        overwrite: whether a file that is there is written anew.
        sha1_hash: what it must be.
        **kwargs: MXNet's `retries` and `verify_ssl`.

    Raises:
        FileError: if it is not there: nothing is downloaded here.
    """
    target = pathlib.Path(path or '.')
    if path is None or target.is_dir():
        target /= url.rsplit('/', 1)[-1]
    if overwrite or not target.exists() or (sha1_hash and not check_sha1(target, sha1_hash)):
        raise FileError(f'{target} is not there, and nothing is downloaded', remedy=f'fetch {url} yourself')
    return str(target)


def replace_file(src: str | os.PathLike[str], dst: str | os.PathLike[str]) -> None:
    """Puts a file in the place of another, at one moment."""
    os.replace(src, dst)


def _get_repo_url() -> str:
    """Where MXNet's project published its files: $MXNET_GLUON_REPO, or its default. Libraries on Gluon ask for it."""
    default = 'https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/'
    return os.environ.get('MXNET_GLUON_REPO', default).rstrip('/') + '/'


def _get_repo_file_url(namespace: str, filename: str) -> str:
    """The URL of a published file."""
    return f'{_get_repo_url()}{namespace}/{filename}'


explain_calls(globals())
