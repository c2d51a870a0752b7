"""`nd.CachedOp`: a graph as one compiled operation on arrays."""

from __future__ import annotations

import functools
from typing import Any

import jax

from gluonjax.errors import ArgumentError
from gluonjax.mx import invoke, tape
from gluonjax.mx.array import NDArray
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.symbol import Symbol
from gluonjax.mx.tape import Arrays, Program, Tracked


class CachedOp:
    """A graph that is called with arrays: of all its variables, in the order of `list_inputs`.

    Args:
        sym: the graph.
        flags: MXNet's; accepted.
        thread_safe: accepted.

    >>> from gluonjax.mx import nd, sym
    >>> op = CachedOp(sym.var('x') * sym.var('y'))
    >>> op(nd.array([2]), nd.array([3])).asscalar()
    np.float32(6.0)
    """

    def __init__(self, sym: Symbol, flags: Any = (), thread_safe: bool = False):
        self.sym: Symbol = sym
        self._names = sym.list_inputs()
        self._auxiliary = sym.list_auxiliary_states()
        self._programs = functools.cache(self._program)

    def _program(self, training: bool) -> Program:
        def function(arrays: Arrays, key: Any) -> tuple[list[jax.Array], list[jax.Array]]:
            keys = iter(jax.random.fold_in(key, i) for i in range(1 << 30))
            values = dict(zip(self._names, arrays, strict=True))
            outputs, updates = self.sym.run(values, training, lambda: next(keys))
            return list(outputs), [updates.get(name, values[name]) for name in self._auxiliary]

        return Program('CachedOp', function)

    def __call__(self, *args: NDArray, out: Any = None, default_ctx: Any = None) -> Any:
        """The output, or a list of them; auxiliary states are written in training.

        Raises:
            ArgumentError: if there is not one array for each variable.
        """
        if len(args) != len(self._names):
            expected = ', '.join(self._names)
            raise ArgumentError('a CachedOp takes one array for each variable', expected=expected, got=len(args))
        training = tape.scope().training
        with invoke.next_key() as key:
            outputs, updates = tape.call(self._programs(training), [x.tracked for x in args], key)
        held = dict(zip(self._names, args, strict=True))
        for name, value in zip(self._auxiliary, updates, strict=True) if training else ():
            held[name].assign(Tracked(value))
        results = [args[0].like(y) if args else NDArray(*y) for y in outputs]
        if out is None:
            return results[0] if len(results) == 1 else results
        for target, result in zip(out if isinstance(out, list) else [out], results, strict=True):
            target[:] = result
        return out


explain_calls(globals(), functions=False)
