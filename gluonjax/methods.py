"""Methods of the core's classes whose code is in modules above, where it is loaded when one is first called.

What few calls use is written so: the core neither imports it nor grows by it. The arguments and results are declared in
methods.pyi, for type checkers.
"""

from __future__ import annotations

from gluonjax.lazy import LazyMethod


class BindableMethods:
    """Of layers and networks, in `forward`."""

    __slots__ = ()

    checkpoint = LazyMethod('gluonjax.transformations')
    scan = LazyMethod('gluonjax.transformations')


class LayerMethods:
    """Of layers."""

    __slots__ = ()

    cast = LazyMethod('gluonjax.casting', 'cast_definition')
    init_cache = LazyMethod('gluonjax.cache')
    intermediates = LazyMethod('gluonjax.hooks', 'intermediates_of_layer')
    partition = LazyMethod('gluonjax.selection')
    reinit = LazyMethod('gluonjax.selection')
    share_parameters = LazyMethod('gluonjax.ties')
    specs = LazyMethod('gluonjax.specs')
    summary = LazyMethod('gluonjax.summary', 'of_layer')
    trainable = LazyMethod('gluonjax.selection')


class BlockMethods:
    """Of networks."""

    __slots__ = ()

    cast = LazyMethod('gluonjax.casting')
    export = LazyMethod('gluonjax.mx.export')
    hybridize = LazyMethod('gluonjax.modes')
    intermediates = LazyMethod('gluonjax.hooks')
    load_parameters = LazyMethod('gluonjax.io.parameters')
    named_blocks = LazyMethod('gluonjax.hooks')
    register_forward_hook = LazyMethod('gluonjax.hooks')
    register_forward_pre_hook = LazyMethod('gluonjax.hooks')
    save_parameters = LazyMethod('gluonjax.io.parameters')
    save_program = LazyMethod('gluonjax.io.programs')
    summary = LazyMethod('gluonjax.summary', 'of_network')
    tie = LazyMethod('gluonjax.ties')
    to = LazyMethod('gluonjax.placement')
    visit = LazyMethod('gluonjax.hooks')


class ParameterMethods:
    """Of Parameters: `cast`, `set_data`, and the operators of arrays."""

    __slots__ = ()

    cast = LazyMethod('gluonjax.casting', 'cast_parameter')
    set_data = LazyMethod('gluonjax.placement')


_OF_TWO = ('add', 'sub', 'mul', 'truediv', 'floordiv', 'mod', 'divmod', 'pow', 'matmul', 'and', 'or', 'xor')
_OPERATORS = (
    *(*_OF_TWO, 'lshift', 'rshift', *(f'r{name}' for name in _OF_TWO), 'rlshift', 'rrshift'),
    *('lt', 'le', 'gt', 'ge', 'eq', 'ne', 'neg', 'pos', 'abs', 'invert', 'round', 'bool', 'int', 'float', 'complex'),
    *('len', 'iter', 'contains', 'getitem', 'setitem', 'format', 'array', 'jax_array'),
)
for _operator in _OPERATORS:
    setattr(ParameterMethods, f'__{_operator}__', LazyMethod('gluonjax.arithmetic', _operator))


class ParameterDictMethods:
    """Of the parameters of a network."""

    __slots__ = ()

    load = LazyMethod('gluonjax.io.parameters')
    save = LazyMethod('gluonjax.io.parameters')
