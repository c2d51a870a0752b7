"""`gluon.model_zoo.vision`: the networks of gluonjax.model_zoo as blocks of Gluon, with the same names.

>>> net = get_model('mobilenet0.25', classes=10)
>>> len(net.collect_params('.*weight')), len(net.features)
(28, 83)
"""

import functools
import os
from typing import TYPE_CHECKING, Any

import jax

from gluonjax import nn as layers
from gluonjax.errors import ArgumentError
from gluonjax.hints import missing
from gluonjax.model_zoo import vision
from gluonjax.mx.export import export
from gluonjax.mx.gluon import nn
from gluonjax.mx.gluon.block import Block, HybridBlock, of_symbols, places_of
from gluonjax.mx.gluon.library import LayerBlock
from gluonjax.run import forward_class

__all__ = ['Classifier', 'get_model']


class Classifier(HybridBlock):
    """A network of the zoo: `features` makes a vector of an image, `output` scores of classes.

    Args:
        network: of gluonjax.model_zoo.
        kind: its class.
    """

    def __init__(self, network: Any, kind: str, **kwargs: Any):
        self.kind: str = kind.lower()
        super().__init__(**kwargs)
        self._network: Any = network  # whose graph is exported
        self._called: jax.ShapeDtypeStruct | None = None  # the last input
        definition = network.definition
        with self.name_scope():
            self.features: Any = block_of(definition.features)
            self.output: Any = block_of(definition.output)

    def _alias(self) -> str:
        return self.kind

    def forward(self, x: Any) -> Any:
        """The scores of classes, (N, classes)."""
        return self.output(self.features(x))

    def __call__(self, *args: Any) -> Any:
        """Runs hooks and `forward`."""
        output = super().__call__(*args)
        if not of_symbols(args):
            self._called = jax.ShapeDtypeStruct(args[0].shape, args[0].value.dtype)
        return output

    def export(self, path: str | os.PathLike[str], epoch: int = 0, remove_amp_cast: bool = True) -> tuple[str, str]:
        """Writes the graph and the values as `PATH-symbol.json` and `PATH-0000.params`; names are those of places.

        Args:
            path: the beginning of the names of the files.
            epoch: the number in the name of the file of values.
            remove_amp_cast: MXNet's; accepted, there are no such casts.

        Raises:
            ArgumentError: if the network was not called.
        """
        if self._called is None:
            raise ArgumentError(f'{type(self).__name__} has no graph yet', remedy='call it once before export')
        parameters = self._network.collect_params()
        for name, parameter in places_of(self).items():
            parameters[name].set_data(parameter.data().value)
        return export(self._network, path, epoch, inputs=self._called)


def block_of(layer: Any) -> Block:
    """A layer as a block; one that runs its children in a row as `HybridSequential`."""
    if forward_class(layer) is not layers.Sequential:
        return LayerBlock(layer)
    block = nn.HybridSequential(prefix='')
    for name, child in vars(layer).items():
        block.register_child(block_of(child), name)
    return block


def get_model(name: str, **kwargs: Any) -> Classifier:
    """A network by its name: 'resnet18_v1', 'vgg16', 'mobilenet1.0', ...

    Args:
        name: as in gluonjax.model_zoo.
        **kwargs: `classes`, `pretrained` (the path of a file, or True), `root`; `ctx` is accepted.

    Raises:
        ArgumentError: for an unknown name.
    """
    return _made(functools.partial(vision.get_model, name), kwargs)


def _made(function: Any, kwargs: dict[str, Any]) -> Classifier:
    ctx, names = kwargs.pop('ctx', None), {key: kwargs.pop(key) for key in ('prefix', 'params') if key in kwargs}
    network = function(**kwargs)
    block = Classifier(network, type(network).__name__, **names)
    if kwargs.get('pretrained'):
        values = network.collect_params()
        for name, parameter in places_of(block).items():
            parameter.set_data(values[name].data())
            if ctx is not None:
                parameter.reset_ctx(ctx)
    return block


if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> Any:
        """The functions and classes of gluonjax.model_zoo.vision."""
        if name not in vision.__all__:
            raise missing(f'module {__name__!r}', name, __name__, dir(vision))
        function = getattr(vision, name)
        return lambda *args, **kwargs: _made(functools.partial(function, *args), kwargs)
