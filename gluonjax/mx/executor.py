"""Executors: a graph bound to arrays, with `forward` and `backward` on top of compiled functions."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from gluonjax.errors import ArgumentError, ShapeError
from gluonjax.keys import next_key
from gluonjax.mx.array import NDArray, as_jax
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.invoke import unused_key
from gluonjax.mx.tape import Tracked

Run = Callable[..., tuple[list[jax.Array], dict[str, jax.Array]]]


class Programs:
    """What a graph computes, compiled once for all executors that share it.

    Each takes whether it is a pass of training, the arrays that get gradients, the others, and a random key.

    Args:
        run: values, training, source of keys -> outputs and new auxiliary states.
    """

    def __init__(self, run: Run):
        def forward(training: bool, trained: Any, rest: Any, key: Any) -> Any:
            numbers = iter(range(1 << 30))

            def draw() -> jax.Array:
                self._draws.add(training)
                return jax.random.fold_in(key, next(numbers))

            return run({**rest, **trained}, training, draw)

        def recorded(training: bool, trained: Any, rest: Any, key: Any) -> Any:
            def outputs(trained: Any) -> Any:
                return forward(training, trained, rest, key)

            outputs, pull, updates = jax.vjp(outputs, trained, has_aux=True)
            return outputs, updates, pull

        def whole(training: bool, trained: Any, rest: Any, key: Any) -> Any:
            outputs, updates, pull = recorded(training, trained, rest, key)
            return outputs, updates, pull([jnp.ones_like(y) for y in outputs])[0]

        self._draws: set[bool] = set()  # the passes in which something is drawn, as tracing shows
        self._traced: set[bool] = set()
        self.forward: Callable[..., Any] = jax.jit(forward, static_argnums=0)
        self.recorded: Callable[..., Any] = jax.jit(recorded, static_argnums=0)
        self.whole: Callable[..., Any] = jax.jit(whole, static_argnums=0)

    def key(self, training: bool) -> contextlib.AbstractContextManager[jax.Array]:
        """A new random key for a pass, for a `with` block; always the same one, if nothing is drawn."""
        if training in self._traced - self._draws:
            return contextlib.nullcontext(unused_key())
        self._traced.add(training)
        return next_key()


@jax.jit
def _pulled(pull: Any, cotangents: list[jax.Array]) -> Any:
    return pull(cotangents)[0]


def as_handle(value: Any) -> NDArray:
    """An NDArray as it is, and any other array as one."""
    return value if isinstance(value, NDArray) else NDArray(jnp.asarray(value))


def as_value(given: Any) -> jax.Array:
    """The array of JAX that this is or holds, or a new one."""
    if isinstance(given, NDArray):
        return given.value
    return given if isinstance(given, jax.Array) else as_jax(given)


class Executor:
    """What `bind` and `simple_bind` return.

    Arrays that are given as NDArrays are not copied: gradients are written into them, and who writes them changes what
    the next `forward` computes.

    Args:
        programs: what the graph computes.
        argument_names: of the graph, in order.
        output_names: of the graph.
        arguments: arrays by name.
        auxiliary: arrays by name.
        requests: 'write', 'add' or 'null' for each argument.
        gradients: arrays by name that gradients are written into; zeros are made for the others.
        symbol: the graph, for who looks at it.

    >>> import gluonjax.mx as mx
    >>> x = mx.nd.array([3])
    >>> executor = (mx.sym.var('x') ** 2).bind(mx.cpu(), {'x': x})
    >>> executor.forward(is_train=True)[0].asscalar()
    np.float32(9.0)
    >>> executor.backward()
    >>> executor.grad_dict['x'].asscalar()
    np.float32(6.0)
    """

    def __init__(
        self,
        programs: Programs,
        argument_names: Sequence[str],
        output_names: Sequence[str],
        arguments: Mapping[str, Any],
        auxiliary: Mapping[str, Any],
        requests: Mapping[str, str],
        gradients: Mapping[str, NDArray] | None = None,
        symbol: Any = None,
    ):
        self.programs: Programs = programs
        self.symbol: Any = symbol
        self.arg_dict: dict[str, NDArray] = {name: as_handle(value) for name, value in arguments.items()}
        self.aux_dict: dict[str, NDArray] = {name: as_handle(value) for name, value in auxiliary.items()}
        given = gradients or {}
        self.grad_dict: dict[str, NDArray] = {
            name: as_handle(given.get(name, jnp.zeros_like(self.arg_dict[name].value)))
            for name in argument_names
            if requests[name] != 'null'
            and name in self.arg_dict
            and jnp.issubdtype(self.arg_dict[name].value.dtype, jnp.floating)
        }
        self.outputs: list[NDArray] = []
        self.output_dict: dict[str, NDArray] = {}
        self._requests = dict(requests)
        self._names, self._output_names = list(argument_names), list(output_names)
        self._last: tuple[Any, ...] | None = None
        self._pull: Any = None
        self._watch: tuple[Callable[[str, NDArray], Any], bool] | None = None

    @property
    def arg_arrays(self) -> list[NDArray | None]:
        """The arrays of the arguments, in order."""
        return [self.arg_dict.get(name) for name in self._names]

    @property
    def grad_arrays(self) -> list[NDArray | None]:
        """The gradients of the arguments, in order."""
        return [self.grad_dict.get(name) for name in self._names]

    @property
    def aux_arrays(self) -> list[NDArray]:
        """The arrays of the auxiliary states."""
        return list(self.aux_dict.values())

    def forward(self, is_train: bool = False, **kwargs: Any) -> list[NDArray]:
        """The outputs.

        Args:
            is_train: whether it is a pass of training, which updates auxiliary states.
            **kwargs: new arrays of arguments.

        Raises:
            ArgumentError: for a name that is no argument.
        """
        self._take(kwargs)
        with self.programs.key(is_train) as key:
            arguments = self._arguments(is_train, key)
            if is_train and self.grad_dict:
                outputs, updates, self._pull = self.programs.recorded(*arguments)
            else:
                (outputs, updates), self._pull = self.programs.forward(*arguments), None
        return self._give(arguments, outputs, updates)

    def forward_backward(self, **kwargs: Any) -> list[NDArray]:
        """As `forward(is_train=True)` and `backward()`, in one program."""
        self._take(kwargs)
        with self.programs.key(True) as key:
            arguments = self._arguments(True, key)
            outputs, updates, gradients = self.programs.whole(*arguments)
        self._give(arguments, outputs, updates)
        self._pull = None
        self._write(gradients)
        return self.outputs

    def _take(self, given: Mapping[str, Any]) -> None:
        if unknown := [name for name in given if name not in self._names]:
            raise ArgumentError(f'the graph has no argument {unknown[0]!r}', expected=', '.join(self._names))
        for name, value in given.items():
            array, held = as_value(value), self.arg_dict.get(name)
            if held is None or held.shape != array.shape:
                self.arg_dict[name] = NDArray(array)
            else:
                dtype = held.value.dtype
                held.assign(Tracked(array if array.dtype == dtype else array.astype(dtype)))

    def _arguments(self, training: bool, key: jax.Array) -> tuple[Any, ...]:
        values = {name: as_handle(array).value for name, array in self.arg_dict.items()}
        trained = {name: values.pop(name) for name in self.grad_dict}
        return training, trained, {**values, **{k: as_handle(array).value for k, array in self.aux_dict.items()}}, key

    def _give(self, arguments: Any, outputs: Sequence[jax.Array], updates: Mapping[str, jax.Array]) -> list[NDArray]:
        self.outputs = [NDArray(y) for y in outputs]
        self.output_dict = dict(zip(self._output_names, self.outputs, strict=True))
        for name, value in updates.items():
            self.aux_dict[name] = held = as_handle(self.aux_dict[name])
            held.assign(Tracked(value))
        self._last = arguments
        if self._watch is not None:
            self._show(*self._watch)
        return self.outputs

    def backward(self, out_grads: Any = None, is_train: bool = True) -> None:
        """Computes the gradients of the arguments, at the values of the last `forward`.

        Args:
            out_grads: the gradients of the outputs, an array or a list; ones by default, as loss heads have it.
            is_train: MXNet's; the pass is as it was.

        Raises:
            ArgumentError: before `forward`.
            ShapeError: if the gradients are not as many, or not of the shapes, as the outputs.
        """
        if self._last is None:
            raise ArgumentError('backward comes after forward', remedy='executor.forward(is_train=True)')
        given = [jnp.ones_like(y.value) for y in self.outputs] if out_grads is None else out_grads
        given = list(given) if isinstance(given, list | tuple) else [given]
        expected = [y.shape for y in self.outputs]
        if [tuple(g.shape) for g in given] != expected:
            got = [tuple(g.shape) for g in given]
            raise ShapeError('gradients of outputs have their shapes', expected=expected, got=got)
        cotangents = [as_jax(g).astype(y.value.dtype) for g, y in zip(given, self.outputs, strict=True)]
        if self._pull is None:
            self._pull = self.programs.recorded(*self._last)[2]
        self._write(_pulled(self._pull, cotangents))

    def _write(self, gradients: Mapping[str, jax.Array]) -> None:
        for name, gradient in gradients.items():
            held = self.grad_dict[name]
            if held.shape != gradient.shape:
                self.grad_dict[name] = NDArray(gradient)
            else:
                held.assign(Tracked(held.value + gradient if self._requests[name] == 'add' else gradient))

    def copy_params_from(
        self,
        arg_params: Mapping[str, Any],
        aux_params: Mapping[str, Any] | None = None,
        allow_extra_params: bool = False,
    ) -> None:
        """Takes in arrays by name.

        Raises:
            ArgumentError: for a name that the graph does not have, without `allow_extra_params`.
        """
        for held, given in ((self.arg_dict, arg_params), (self.aux_dict, aux_params or {})):
            for name, value in given.items():
                if name in held:
                    held[name][:] = as_handle(value)
                elif not allow_extra_params:
                    raise ArgumentError(f'the graph has no array {name!r}', expected=', '.join(held))

    def reshape(self, partial_shaping: bool = False, allow_up_sizing: bool = False, **kwargs: Any) -> Executor:
        """An executor for other shapes of arguments, with the same arrays where shapes stay.

        Args:
            partial_shaping: accepted: whatever the new shapes change is made new.
            allow_up_sizing: accepted: arrays may be larger.
            **kwargs: shapes by the name of the argument.
        """
        shapes, _, auxiliary = self.symbol.infer_shape(**kwargs)
        if shapes is None:
            raise ShapeError('these shapes do not decide all', got=kwargs, remedy='give the shape of every input')
        states = dict(zip(self.aux_dict, auxiliary, strict=True))
        return Executor(
            self.programs,
            self._names,
            self._output_names,
            {name: _resized(self.arg_dict[name], shape) for name, shape in zip(self._names, shapes, strict=True)},
            {name: _resized(array, states[name]) for name, array in self.aux_dict.items()},
            self._requests,
            {name: array for name, array in self.grad_dict.items() if array.shape == self.arg_dict[name].shape},
            self.symbol,
        )

    def debug_str(self) -> str:
        """The nodes of the graph, in the order that they run in."""
        return self.symbol.debug_str()

    def get_optimized_symbol(self) -> Any:
        """The graph: XLA optimizes what it computes."""
        return self.symbol

    def set_monitor_callback(self, callback: Callable[[str, NDArray], Any], monitor_all: bool = False) -> None:
        """Has every output inside the graph computed and shown, at each `forward`.

        Args:
            callback: called with the name of the output and its array; None ends it.
            monitor_all: whether variables are shown too.
        """
        self._watch = None if callback is None else (callback, monitor_all)

    def _show(self, callback: Callable[[str, NDArray], Any], monitor_all: bool) -> None:
        inside = self.symbol.get_internals()
        training, trained, rest, key = self._last  # type: ignore[misc]
        keys = iter(jax.random.fold_in(key, i) for i in range(1 << 30))
        found, _ = inside.run({**rest, **trained}, training, lambda: next(keys))
        for entry, name, value in zip(inside.heads, inside.list_outputs(), found, strict=True):
            if monitor_all or not entry.node.is_variable:
                callback(name, NDArray(value))


def _resized(array: NDArray, shape: tuple[int, ...]) -> NDArray:
    """The array, or a new one of another shape: of its first elements where they suffice, as MXNet reuses memory."""
    if array.shape == shape:
        return array
    count = math.prod(shape)
    fits = count <= array.size
    return NDArray(array.value.ravel()[:count].reshape(shape) if fits else jnp.zeros(shape, array.value.dtype))


explain_calls(globals(), functions=False)
