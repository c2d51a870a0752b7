"""Transforms of images as blocks of MXNet's programs: those of `gluonjax.data.vision.transforms`, on MXNet's arrays.

They compute on the host, and are no part of the tape. Random ones follow `mx.random.seed`.

>>> from gluonjax.mx import nd
>>> transform = Compose([Resize(2), ToTensor()])
>>> transform(nd.array([[[0], [255]]], dtype='uint8')).asnumpy().tolist()
[[[0.0, 1.0], [0.0, 1.0]]]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gluonjax.data import chance
from gluonjax.data.vision import transforms as on_arrays
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.gluon.block import Block
from gluonjax.mx.gluon.data.arrays import handle, host
from gluonjax.mx.gluon.nn import Sequential


class Transform(Block):
    """A transform of `gluonjax.data` as a block; its arguments are those of that one."""

    made_of: Callable[..., Any]

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__()
        self._transform = type(self).made_of(*args, **kwargs)

    @property
    def native(self) -> Any:
        """What it does with NumPy's arrays; None if a subclass does something else."""
        return self._transform if type(self).forward is Transform.forward else None

    def forward(self, x: Any) -> Any:
        return handle(self._transform(host(x)))

    def __reduce__(self) -> Any:
        return _made_again, (type(self), self._transform)


def _made_again(kind: type[Transform], transform: Any) -> Transform:
    made = kind.__new__(kind)
    Block.__init__(made)
    made._transform = transform
    return made


def _block(native: Any) -> type[Transform]:
    members = {'made_of': native, '__doc__': native.__doc__, '__module__': __name__}
    return type(native.__name__, (Transform,), members)


CenterCrop: type[Transform] = _block(on_arrays.CenterCrop)
Cast: type[Transform] = _block(on_arrays.Cast)
CropResize: type[Transform] = _block(on_arrays.CropResize)
Normalize: type[Transform] = _block(on_arrays.Normalize)
RandomBrightness: type[Transform] = _block(on_arrays.RandomBrightness)
RandomColorJitter: type[Transform] = _block(on_arrays.RandomColorJitter)
RandomContrast: type[Transform] = _block(on_arrays.RandomContrast)
RandomCrop: type[Transform] = _block(on_arrays.RandomCrop)
RandomFlipLeftRight: type[Transform] = _block(on_arrays.RandomFlipLeftRight)
RandomFlipTopBottom: type[Transform] = _block(on_arrays.RandomFlipTopBottom)
RandomGray: type[Transform] = _block(on_arrays.RandomGray)
RandomHue: type[Transform] = _block(on_arrays.RandomHue)
RandomLighting: type[Transform] = _block(on_arrays.RandomLighting)
RandomResizedCrop: type[Transform] = _block(on_arrays.RandomResizedCrop)
RandomRotation: type[Transform] = _block(on_arrays.RandomRotation)
RandomSaturation: type[Transform] = _block(on_arrays.RandomSaturation)
Resize: type[Transform] = _block(on_arrays.Resize)
Rotate: type[Transform] = _block(on_arrays.Rotate)
ToTensor: type[Transform] = _block(on_arrays.ToTensor)


class Compose(Sequential):
    """Transforms one after the other.

    Args:
        transforms: blocks.
    """

    def __init__(self, transforms: Sequence[Any]):
        super().__init__()
        self._given = list(transforms)
        self.add(*self._given)
        natives: list[Any] = [getattr(block, 'native', None) for block in self._given]
        self._chain = None if None in natives else on_arrays.Compose(natives)

    @property
    def native(self) -> Any:
        """What it does with NumPy's arrays; None if not all blocks say what they do."""
        return self._chain if type(self).forward is Compose.forward else None

    def forward(self, x: Any) -> Any:
        return super().forward(x) if self._chain is None else handle(self._chain(host(x)))

    def __reduce__(self) -> Any:
        return type(self), (self._given,)


HybridCompose = Compose


class RandomApply(Block):
    """Transforms, with a probability; else none of them.

    Args:
        transforms: a block, or a list of them.
        p: the probability.
    """

    def __init__(self, transforms: Any, p: float = 0.5):
        super().__init__()
        self.transforms: Any = Compose(transforms) if isinstance(transforms, list | tuple) else transforms
        self.p: float = p

    def forward(self, x: Any) -> Any:
        return self.transforms(x) if chance.generator().random() < self.p else x

    @property
    def native(self) -> Any:
        """What it does with NumPy's arrays; None if its block does not say so."""
        native = getattr(self.transforms, 'native', None)
        return None if native is None else on_arrays.RandomApply(native, self.p)

    def __reduce__(self) -> Any:
        return type(self), (self.transforms, self.p)


HybridRandomApply = RandomApply


explain_calls(globals())
