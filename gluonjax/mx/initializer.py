"""`mx.init`: initializers that write into arrays, by the ends of names, as MXNet's programs call and extend them.

The numbers are those of `gluonjax.init`. In Gluon an initializer fills a parameter whatever its name; called with a
name and an array, as modules do, it fills biases and betas with zeros, and gammas with ones.

>>> from gluonjax.mx import init, nd
>>> weight = nd.zeros((2, 2))
>>> init.Constant(3)(init.InitDesc('dense0_weight'), weight)
>>> weight.asnumpy()
array([[3., 3.],
       [3., 3.]], dtype=float32)
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from gluonjax import checks
from gluonjax import init as native
from gluonjax.errors import ArgumentError, ParamsError
from gluonjax.mx import invoke, ndarray
from gluonjax.mx.array import NDArray, as_jax
from gluonjax.mx.entry import explain_calls
from gluonjax.registry import Registry

_Class = TypeVar('_Class', bound=type)

_BY_END = {
    'weight': '_init_weight',
    'bias': '_init_bias',
    'gamma': '_init_gamma',
    'beta': '_init_beta',
    'moving_mean': '_init_zero',
    'running_mean': '_init_zero',
    'moving_var': '_init_one',
    'running_var': '_init_one',
    'moving_inv_var': '_init_zero',
    'moving_avg': '_init_zero',
    'min': '_init_zero',
    'max': '_init_one',
}


class InitDesc(str):
    """The name of an array that is initialized, and what is known of it.

    Args:
        name: the name.
        attrs: attributes of its variable; '__init__' is an initializer of its own, as `dumps` writes it.
        global_init: that of the network.
    """

    __slots__ = ('attrs', 'global_init')
    attrs: dict[str, Any]
    global_init: Any

    def __new__(cls, name: str, attrs: Mapping[str, Any] | None = None, global_init: Any = None) -> InitDesc:
        made = super().__new__(cls, name)
        made.attrs, made.global_init = dict(attrs or {}), global_init
        return made


class _Writing:
    """What initializers write into arrays, by the ends of names."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Comes before that of the library's own, which refuses `_init_weight`."""

    def _init_weight(self, name: str, arr: NDArray) -> None:
        raise NotImplementedError(f'{type(self).__name__}._init_weight')

    def _init_default(self, name: str, arr: NDArray) -> None:
        expected = f'an end of {", ".join(_BY_END)}'
        remedy = 'mx.sym.var(name, init=...)'
        raise ArgumentError(f'the name {str(name)!r} does not say how to initialize', expected=expected, remedy=remedy)

    def _init_zero(self, name: str, arr: NDArray) -> None:
        arr[:] = 0

    def _init_one(self, name: str, arr: NDArray) -> None:
        arr[:] = 1

    def _init_bias(self, name: str, arr: NDArray) -> None:
        arr[:] = 0

    def _init_gamma(self, name: str, arr: NDArray) -> None:
        arr[:] = 1

    def _init_beta(self, name: str, arr: NDArray) -> None:
        arr[:] = 0


class Initializer(_Writing, native.Initializer):
    """The base of initializers. Your own has `_init_weight(name, array)`, which writes into the array.

    Args:
        **kwargs: what `dumps` writes, so that `create` makes an equal one.

    >>> from gluonjax.mx import gluon, init
    >>> class Ramp(init.Initializer):
    ...     def _init_weight(self, name, array):
    ...         array[:] = [[0, 1], [2, 3]]
    >>> net = gluon.nn.Dense(2, in_units=2)
    >>> net.initialize(Ramp())
    >>> net.weight.data().asnumpy()
    array([[0., 1.],
           [2., 3.]], dtype=float32)
    """

    def __init__(self, **kwargs: Any):
        self._kwargs: dict[str, Any] = kwargs

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def set_verbosity(self, verbose: bool = False, print_func: Any = None) -> Initializer:
        """Returns itself; nothing is printed."""
        return self

    def dumps(self) -> str:
        """A string of its name and arguments, which `create` takes."""
        return json.dumps([type(self).__name__.lower(), self._kwargs], default=_as_lists)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, Initializer) and self._kwargs == other._kwargs

    def __hash__(self) -> int:
        return hash(type(self))

    def __call__(self, desc: Any, arr: Any, dtype: DTypeLike = jnp.float32) -> Any:
        """Initializes an array by the end of its name; with a key and a shape, gives values.

        Raises:
            ArgumentError: for a name that says nothing, where `_init_default` is not overridden.
        """
        if not isinstance(desc, str):
            return super().__call__(desc, arr, dtype)
        own = desc.attrs.get('__init__') if isinstance(desc, InitDesc) else None
        if own:
            create(own)._init_weight(desc, arr)
            return
        ending = next((end for end in _BY_END if desc.endswith(end)), None)
        getattr(self, '_init_default' if ending is None else _BY_END[ending])(desc, arr)

    def init_weight(self, key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike, name: str) -> jax.Array:
        """What `_init_weight`, or a `__call__` of one's own, writes into an array; what it draws follows the key."""
        array = ndarray.empty(shape, dtype=dtype)
        fill = self._init_weight if type(self).__call__ is Initializer.__call__ else self
        with invoke.drawing_from(key):
            fill(InitDesc(name, {'__init__': self}, self), array)
        return array.value

    def source(self, name: str, shape: Any, copies: Any = ()) -> Any:
        if type(self).distribution is not native.Initializer.distribution:
            return super().source(name, shape, copies)
        return lambda key, shape, dtype: self.init_weight(key, shape, dtype, name)

    def for_name(self, name: str) -> native.Initializer:
        return self

    def has_value_for(self, name: str) -> bool:
        """A `__call__` of one's own fills every parameter, whatever its layer declares, as in MXNet."""
        return type(self).__call__ is not Initializer.__call__


def _as_lists(value: Any) -> Any:
    """An array, or an initializer, as JSON can hold it."""
    if hasattr(value, 'dumps') and not hasattr(value, 'shape'):
        return value.dumps()
    return value.asnumpy().tolist() if isinstance(value, NDArray) else np.asarray(value).tolist()


_INITIALIZERS = Registry('initializer', Initializer)


def register(klass: _Class) -> _Class:
    """Class decorator: makes an initializer known by its name in lower case, to layers too."""
    return native.register(_INITIALIZERS.register(klass))


def alias(*names: str) -> Callable[[_Class], _Class]:
    """Class decorator: makes an initializer known by further names."""
    return lambda klass: native.alias(*names)(_INITIALIZERS.alias(*names)(klass))


def create(initializer: Any, *args: Any, **kwargs: Any) -> Any:
    """An initializer from its name, from what `dumps` wrote, or as it is.

    >>> create('["normal", {"sigma": 0.5}]').sigma
    0.5
    """
    if isinstance(initializer, str) and initializer.startswith('['):
        name, arguments = json.loads(initializer)
        return _INITIALIZERS.create(name, **arguments)
    if isinstance(initializer, str):
        return _INITIALIZERS.create(initializer, *args, **kwargs)
    return native.create(initializer)


class _Native(Initializer):
    """An initializer of `gluonjax.init`, by the same arguments."""

    own: ClassVar[Any]

    def __init__(self, *args: Any, **kwargs: Any):
        made = self.own(*args, **kwargs)
        names = inspect.signature(self.own.__init__).parameters
        super().__init__(**{name: getattr(made, name) for name in names if name in vars(made)})
        vars(self).update(self._kwargs)
        self._made = made

    def source(self, name: str, shape: Any, copies: Any = ()) -> Any:
        if self._is_plain:
            return self._made.source(name, shape, copies)
        return lambda key, shape, dtype: self.init_weight(key, shape, dtype, name)

    def distribution(self, shape: Any) -> Any:
        return self._made.distribution(shape) if self._is_plain else None

    @property
    def _is_plain(self) -> bool:
        """Whether nothing that writes into arrays is overridden."""
        cls = type(self)
        return cls._init_weight is _Native._init_weight and cls.__call__ is Initializer.__call__

    def _init_weight(self, name: str, arr: NDArray) -> None:
        with invoke.next_key() as key:
            arr[:] = NDArray(self._made.init_weight(key, arr.shape, arr.value.dtype, str(name)))


def _entered(own: Any, *names: str) -> type[_Native]:
    doc = f'`gluonjax.init.{own.__name__}` as MXNet calls it.'
    made = type(own.__name__, (_Native,), {'own': own, '__doc__': doc, '__module__': __name__})
    return _INITIALIZERS.alias(own.__name__, *names)(made)


Bilinear: type[_Native] = _entered(native.Bilinear)
Constant: type[_Native] = _entered(native.Constant)
LSTMBias: type[_Native] = _entered(native.LSTMBias)
MSRAPrelu: type[_Native] = _entered(native.MSRAPrelu)
Normal: type[_Native] = _entered(native.Normal, 'gaussian')
One: type[_Native] = _entered(native.One, 'ones')
Orthogonal: type[_Native] = _entered(native.Orthogonal)
Uniform: type[_Native] = _entered(native.Uniform)
Xavier: type[_Native] = _entered(native.Xavier)
Zero: type[_Native] = _entered(native.Zero, 'zeros')


@register
class FusedRNN(Initializer):
    """The one vector of a fused recurrent layer: weights by an initializer, biases by the same, those of gates 'f' set.

    Args:
        init: of each weight and bias; None for that of the network, which gives biases zeros.
        num_hidden: the number of hidden units.
        num_layers: the number of layers.
        mode: 'rnn_relu', 'rnn_tanh', 'lstm' or 'gru'.
        bidirectional: whether each layer runs both ways.
        forget_bias: the bias of an LSTM's forget gates.

    >>> from gluonjax.mx import nd
    >>> vector = nd.zeros(4 * (2 + 1) + 8)
    >>> FusedRNN(Constant(0.5), num_hidden=1, num_layers=1, mode='lstm', forget_bias=3)('lstm_weight', vector)
    >>> vector.asnumpy()[-8:].tolist()
    [0.0, 3.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0]
    """

    def __init__(
        self,
        init: Any,
        num_hidden: int,
        num_layers: int,
        mode: str,
        bidirectional: bool = False,
        forget_bias: float = 1.0,
    ):
        gates = {'rnn_relu': 1, 'rnn_tanh': 1, 'lstm': 4, 'gru': 3}
        self._gates: int = gates[checks.one_of('mode', mode, gates)]
        self._init: Any = None if init is None else create(init)
        super().__init__(
            init=None if init is None else self._init.dumps(),
            num_hidden=num_hidden,
            num_layers=num_layers,
            mode=mode,
            bidirectional=bidirectional,
            forget_bias=forget_bias,
        )

    def _init_weight(self, name: str, arr: NDArray) -> None:
        hidden, layers = self._kwargs['num_hidden'], self._kwargs['num_layers']
        ways = 1 + self._kwargs['bidirectional']
        rows = self._gates * hidden
        later = (layers - 1) * ways * rows * (ways * hidden + hidden + 2)
        inputs = (arr.size - later) // (ways * rows) - hidden - 2
        chosen = self._init or getattr(name, 'global_init', None) or Uniform()
        weights, biases = [], []
        for layer in range(layers):
            for columns in [inputs if layer == 0 else ways * hidden, hidden] * ways:
                weights += [self._filled(chosen, 'weight', (hidden, columns)) for _ in range(self._gates)]
                biases += [self._bias(chosen, gate, hidden) for gate in range(self._gates)]
        arr[:] = ndarray.concatenate([part.reshape(-1) for part in weights + biases])

    def _bias(self, chosen: Any, gate: int, hidden: int) -> NDArray:
        if self._kwargs['mode'] == 'lstm' and gate == 1:
            return ndarray.full(hidden, self._kwargs['forget_bias'])
        return self._filled(chosen, 'bias', (hidden,))

    def _filled(self, chosen: Any, name: str, shape: tuple[int, ...]) -> NDArray:
        part = ndarray.zeros(shape)
        chosen(InitDesc(name), part)
        return part


class Mixed(native.Mixed):
    """Several initializers by pattern: the first that matches a name from its beginning decides.

    Args:
        patterns: regular expressions.
        initializers: one for each.
    """

    def __init__(self, patterns: Sequence[str], initializers: Sequence[Any]):
        super().__init__(patterns, [create(each) for each in initializers])
        self.map: list[tuple[Any, Any]] = [*zip(map(re.compile, self.patterns), self.initializers, strict=True)]

    def __call__(self, name: Any, arr: Any, dtype: DTypeLike = jnp.float32) -> Any:
        """Initializes an array by the initializer of its name.

        Raises:
            PatternError: if no pattern matches.
        """
        if not isinstance(name, str):
            return super().__call__(name, arr, dtype)
        found = next((initializer for pattern, initializer in self.map if pattern.match(name)), None)
        (found or self.for_name(name))(name, arr)  # which says that there is none


class Load(native.Load):
    """Values by name, of a dict or a file.

    Args:
        param: arrays by name, less MXNet's 'arg:' and 'aux:'; or the name of a file of them.
        default_init: for names that it lacks.
        verbose: whether what is loaded is printed.
    """

    def __init__(self, param: Any, default_init: Any = None, verbose: bool = False):
        found = ndarray.load(param) if isinstance(param, str) else param
        default = None if default_init is None else create(default_init)
        super().__init__(found, default, verbose)

    def __call__(self, name: Any, arr: Any, dtype: DTypeLike = jnp.float32) -> Any:
        """Writes the value of a name into an array.

        Raises:
            ParamsError: if there is none, and no `default_init`.
            ShapeError: if it has another shape.
        """
        if not isinstance(name, str):
            return super().__call__(name, arr, dtype)
        if name in self.param:
            value = self.init_weight(jax.random.key(0), arr.shape, arr.value.dtype, str(name))
            arr[:] = NDArray(as_jax(value))
        elif self.default_init is None:
            raise ParamsError(f'Load has no value for {str(name)!r}', remedy='pass a default_init')
        else:
            self.default_init(name, arr)


explain_calls(globals())
