"""`gluon.rnn`: the recurrent layers and cells of gluonjax as blocks of Gluon.

>>> from gluonjax.mx import nd
>>> from gluonjax.mx.gluon import rnn
>>> layer = rnn.GRU(3)
>>> layer.initialize()
>>> output, state = layer(nd.ones((4, 2, 5)), layer.begin_state(batch_size=2))
>>> output.shape, state[0].shape
((4, 2, 3), (1, 2, 3))
"""

from typing import TYPE_CHECKING, Any

from gluonjax import rnn
from gluonjax.errors import MissingNameError
from gluonjax.layer import Layer
from gluonjax.mx.array import NDArray, array_class
from gluonjax.mx.gluon.library import layer_class

__all__ = ['recurrent_class']


def recurrent_class(cls: Any) -> Any:
    """The class of blocks of a class of recurrent layers or cells."""

    class Made(layer_class(cls)):
        def begin_state(self, batch_size: int = 0, **kwargs: Any) -> list[NDArray]:
            states = self.layer.begin_state(batch_size)
            return [array_class()(state) for state in states]

        def state_info(self, batch_size: int = 0) -> Any:
            return self.layer.state_info(batch_size)

        def _alias(self) -> str:
            return cls.__name__.lower().removesuffix('cell') + ('_' if cls.__name__.endswith('Cell') else '')

        def forward(self, inputs: Any, states: Any = None) -> Any:
            if states is None:
                return super().forward(inputs)
            return super().forward(inputs, [states] if isinstance(states, NDArray) else list(states))

    Made.__name__ = Made.__qualname__ = cls.__name__
    Made.__doc__ = cls.__doc__
    return Made


_MADE: dict[str, Any] = {}

if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> Any:
        """Every recurrent layer of gluonjax.rnn."""
        cls = getattr(rnn, name, None) if name in ('RNN', 'LSTM', 'GRU', 'RNNCell', 'LSTMCell', 'GRUCell') else None
        if not (isinstance(cls, type) and issubclass(cls, Layer)):
            raise MissingNameError(f'gluon.rnn has no {name!r}', name=name)
        return _MADE.setdefault(name, recurrent_class(cls))
