"""Executors: a graph bound to arrays, with `forward` and `backward` on top of two compiled functions."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from gluonjax.errors import ArgumentError
from gluonjax.keys import next_key

Run = Callable[..., tuple[list[jax.Array], dict[str, jax.Array]]]


class Executor:
    """What `bind` and `simple_bind` return. Arrays are JAX's: to change one, assign it in `arg_dict`.

    Args:
        run: values, training, source of keys -> outputs and new auxiliary states.
        argument_names: of the graph, in order.
        output_names: of the graph.
        arguments: arrays by name.
        auxiliary: arrays by name.
        requests: 'write', 'add' or 'null' for each argument.
    """

    def __init__(
        self,
        run: Run,
        argument_names: Sequence[str],
        output_names: Sequence[str],
        arguments: Mapping[str, Any],
        auxiliary: Mapping[str, Any],
        requests: Mapping[str, str],
    ):
        self.arg_dict: dict[str, jax.Array] = {name: jnp.asarray(value) for name, value in arguments.items()}
        self.aux_dict: dict[str, jax.Array] = {name: jnp.asarray(value) for name, value in auxiliary.items()}
        self.grad_dict: dict[str, jax.Array] = {
            name: jnp.zeros_like(self.arg_dict[name])
            for name in argument_names
            if requests[name] != 'null'
            and name in self.arg_dict
            and jnp.issubdtype(self.arg_dict[name].dtype, jnp.floating)
        }
        self.outputs: list[jax.Array] = []
        self.output_dict: dict[str, jax.Array] = {}
        self._requests = dict(requests)
        self._names, self._output_names = list(argument_names), list(output_names)
        self._last: tuple[Any, ...] | None = None

        def forward(training: bool, trained: Any, rest: Any, key: Any) -> Any:
            keys = iter(jax.random.fold_in(key, i) for i in range(1 << 30))
            return run({**rest, **trained}, training, lambda: next(keys))

        def backward(training: bool, trained: Any, rest: Any, key: Any, cotangents: Any) -> Any:
            function = functools.partial(forward, training)
            _, pull = jax.vjp(lambda trained: function(trained, rest, key)[0], trained)
            return pull(cotangents)[0]

        self._forward = jax.jit(forward, static_argnums=0)
        self._backward = jax.jit(backward, static_argnums=0)

    @property
    def arg_arrays(self) -> list[jax.Array | None]:
        """The arrays of the arguments, in order."""
        return [self.arg_dict.get(name) for name in self._names]

    @property
    def grad_arrays(self) -> list[jax.Array | None]:
        """The gradients of the arguments, in order."""
        return [self.grad_dict.get(name) for name in self._names]

    @property
    def aux_arrays(self) -> list[jax.Array]:
        """The arrays of the auxiliary states."""
        return list(self.aux_dict.values())

    def forward(self, is_train: bool = False, **kwargs: Any) -> list[jax.Array]:
        """The outputs.

        Args:
            is_train: whether it is a pass of training, which updates auxiliary states.
            **kwargs: new arrays of arguments.

        Raises:
            ArgumentError: for a name that is no argument.
        """
        if unknown := [name for name in kwargs if name not in self._names]:
            raise ArgumentError(f'the graph has no argument {unknown[0]!r}', expected=', '.join(self._names))
        self.arg_dict.update({name: jnp.asarray(value) for name, value in kwargs.items()})
        trained = {name: self.arg_dict[name] for name in self.grad_dict}
        rest = {**{k: v for k, v in self.arg_dict.items() if k not in trained}, **self.aux_dict}
        with next_key() as key:
            arguments = (is_train, trained, rest, key)
            self.outputs, updates = self._forward(*arguments)
        self.output_dict = dict(zip(self._output_names, self.outputs, strict=True))
        self.aux_dict.update(updates)
        self._last = arguments
        return self.outputs

    def backward(self, out_grads: Any = None, is_train: bool = True) -> None:
        """Computes the gradients of the arguments, at the values of the last `forward`.

        Args:
            out_grads: the gradients of the outputs, an array or a list; ones by default, as loss heads have it.
            is_train: MXNet's; the pass is as it was.

        Raises:
            ArgumentError: before `forward`.
        """
        if self._last is None:
            raise ArgumentError('backward comes after forward', remedy='executor.forward(is_train=True)')
        given = [jnp.ones_like(y) for y in self.outputs] if out_grads is None else out_grads
        given = list(given) if isinstance(given, list | tuple) else [given]
        cotangents = [jnp.asarray(g).astype(y.dtype) for g, y in zip(given, self.outputs, strict=True)]
        for name, gradient in self._backward(*self._last, cotangents).items():
            self.grad_dict[name] = self.grad_dict[name] + gradient if self._requests[name] == 'add' else gradient

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
                    held[name] = jnp.asarray(value).astype(held[name].dtype)
                elif not allow_extra_params:
                    raise ArgumentError(f'the graph has no array {name!r}', expected=', '.join(held))
