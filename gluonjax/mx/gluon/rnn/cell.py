"""The base of recurrent cells: their states, and how they are unrolled step by step."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from gluonjax.errors import ArgumentError
from gluonjax.mx import ndarray, symbol
from gluonjax.mx.dialect import is_np_array
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.gluon.block import Block, HybridBlock, children_of
from gluonjax.mx.gluon.parameter import ParameterDict
from gluonjax.mx.gluon.rnn.sequences import (
    Layout,
    formed,
    is_whole,
    last_valid,
    masked,
    operators_of,
    steps_of,
)


class RecurrentCell(Block):
    """The base of cells: `state_info`, and `forward(inputs, states)`, which gives the output and the new states.

    Args:
        prefix: what the names of its parameters begin with.
        params: a dict whose parameters are shared.

    >>> from gluonjax.mx import nd
    >>> class Sum(RecurrentCell):
    ...     def state_info(self, batch_size=0):
    ...         return [{'shape': (batch_size, 1), '__layout__': 'NC'}]
    ...
    ...     def forward(self, inputs, states):
    ...         return inputs + states[0], [inputs + states[0]]
    >>> outputs, states = Sum().unroll(3, nd.ones((1, 3, 1)), merge_outputs=True)
    >>> outputs.asnumpy().ravel().tolist()
    [1.0, 2.0, 3.0]
    """

    def __init__(self, prefix: str | None = None, params: ParameterDict | None = None):
        super().__init__(prefix, params)
        self._modified = False  # whether another cell is around it, which is to be called instead
        self._init_counter = self._counter = -1

    def reset(self) -> None:
        """Forgets the steps of the last sequence."""
        self._init_counter = self._counter = -1
        for cell in children_of(self).values():
            if isinstance(cell, RecurrentCell):
                cell.reset()

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        """For each state a dict with its 'shape' and '__layout__'."""
        raise NotImplementedError(f'{type(self).__name__} has no state_info(self, batch_size)')

    def begin_state(self, batch_size: int = 0, func: Callable[..., Any] = ndarray.zeros, **kwargs: Any) -> list[Any]:
        """The states before the first step.

        Args:
            batch_size: the number of sequences.
            func: makes a state of `shape`: `nd.zeros`, `nd.ones`, `sym.zeros`, `sym.var`.
            **kwargs: more for `func`, as `ctx` and `dtype`.

        Raises:
            ArgumentError: if another cell is around it.
        """
        if self._modified:
            raise ArgumentError(
                f'{self.name} is inside another cell, which changes it', remedy='call that cell (ZoneoutCell, ...)'
            )
        return made_states(self, self.state_info(batch_size), func, kwargs)

    def next_state_name(self) -> str:
        """The name of the next state that is made."""
        self._init_counter += 1
        return f'{self.prefix}begin_state_{self._init_counter}'

    @property
    def step_prefix(self) -> str:
        """What the names of the nodes of this step begin with."""
        return f't{self._counter}_'

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: Sequence[Any] | None = None,
        layout: Layout = 'NTC',
        merge_outputs: bool | None = None,
        valid_length: Any = None,
    ) -> tuple[Any, list[Any]]:
        """Runs over the steps of a sequence.

        Args:
            length: the number of steps.
            inputs: one array or symbol in `layout`, or a list of the steps.
            begin_state: the first states, zeros without them.
            layout: where steps (T) and batch (N) are.
            merge_outputs: True gives one array, False a list, None what comes naturally.
            valid_length: (N,), the lengths of the sequences: outputs beyond them are 0, and the states are those of the
                last valid step.

        Returns:
            The outputs, and the last states.

        Raises:
            ShapeError: for another number of steps.
        """
        self.reset()
        steps = steps_of(length, inputs, layout)
        states: Any = first_states(self, begin_state, steps, 'NC')
        outputs, seen = [], []
        for step in steps:
            output, states = self(step, states)
            outputs.append(output)
            seen.append(states)
        if valid_length is None:
            return formed(length, outputs, layout, merge_outputs), states
        states = [last_valid(each, valid_length) for each in zip(*seen, strict=True)]
        return formed(length, masked(outputs, valid_length, layout), layout, merge_outputs), states

    def __call__(self, *args: Any) -> Any:
        """One step: the output and the new states, from the input and the states."""
        self._counter += 1
        return super().__call__(*args)

    def _get_activation(self, F: Any, inputs: Any, activation: Any, **kwargs: Any) -> Any:
        return activated(F, inputs, activation, **kwargs)


def activated(F: Any, inputs: Any, activation: Any, **kwargs: Any) -> Any:
    """An activation by its name, or by a block that is one."""
    if not isinstance(activation, str):
        return activation(inputs)
    if activation in ('tanh', 'relu', 'sigmoid', 'softsign'):
        return getattr(F, activation)(inputs, **kwargs)
    return F.Activation(inputs, act_type=activation, **kwargs)


class HybridRecurrentCell(RecurrentCell, HybridBlock):
    """A cell that can be compiled: `hybrid_forward(F, inputs, states, **params)`."""


def made_states(
    cell: Any, infos: Sequence[dict[str, Any]], func: Callable[..., Any], more: dict[str, Any]
) -> list[Any]:
    """States by `func`, which is given what it takes of shape, name, layout and more."""
    states = []
    for info in infos:
        given = {**info, **more, 'name': cell.next_state_name()}
        if getattr(func, '__module__', '') not in (ndarray.__name__, symbol.__name__):
            given = {key: value for key, value in given.items() if key in more or _takes(func, key)}
        state = func(**given)
        states.append(state.as_np_ndarray() if func is ndarray.zeros and is_np_array() else state)
    return states


def _takes(func: Callable[..., Any], name: str) -> bool:
    """Whether a function has a parameter of this name, as far as one can see."""
    try:
        return name in inspect.signature(func).parameters
    except (TypeError, ValueError):
        return name == 'shape'


def first_states(cell: RecurrentCell, given: Sequence[Any] | None, inputs: Any, layout: Layout) -> Sequence[Any]:
    """The states that are given, or zeros: of the kind of the inputs, and where these are.

    Args:
        cell: whose states.
        given: the states; None for zeros.
        inputs: a sequence in `layout`, or a list of steps.
        layout: where the batch is.
    """
    if given is not None:
        return given
    if operators_of(inputs) is symbol:
        return cell.begin_state(func=symbol.zeros)
    first = inputs if is_whole(inputs) else inputs[0]
    batch = first.shape[layout.index('N') if is_whole(inputs) else 0]

    def zeros(shape: Any, **kwargs: Any) -> Any:
        return first.like(ndarray.zeros(shape, ctx=first.context, dtype=first.dtype).tracked)

    return cell.begin_state(batch, zeros)


explain_calls(globals())
