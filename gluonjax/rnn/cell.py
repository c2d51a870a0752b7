"""The base of recurrent cells: what one step computes, and how a cell is unrolled over a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp

from gluonjax.block import Block
from gluonjax.errors import ArgumentError, BareLayerError, ShapeError
from gluonjax.layer import Layer
from gluonjax.nn import arguments
from gluonjax.rnn.scan import scan_body, zero_invalid
from gluonjax.rnn.states import Stateful, checked_length, checked_states
from gluonjax.run import forward_class, in_forward


class Unrollable(Stateful):
    """What every cell can do. A cell has `state_info(batch_size)` and `forward(inputs, states) -> output, states`.

    A cell of your own is a `RecurrentCell` with these two. Beyond them a cell may override `step`, to pass on from step
    to step what is not a state, and `sequence`, to run over a whole sequence in another way.
    """

    __slots__ = ()

    def reset(self) -> None:
        """Does nothing: Gluon programs call it before each sequence, and a cell keeps nothing between sequences."""

    def step(
        self, inputs: jax.Array, states: Sequence[jax.Array], memory: Any = None
    ) -> tuple[jax.Array, list[jax.Array], Any]:
        """In `forward`: one step of a sequence.

        Args:
            inputs: (N, ...).
            states: as from `begin_state`.
            memory: what the cell's last step in this sequence returned as such; None at the first step.
        """
        output, new = self(inputs, states)  # pyright: ignore[reportCallIssue]  (of Layer and Block)
        return output, new, ()

    def sequence(
        self, inputs: jax.Array, states: Sequence[jax.Array], valid_length: jax.Array | None = None
    ) -> tuple[jax.Array, list[jax.Array]]:
        """In `forward`: all steps of a sequence. The first step makes the memory that a scan of the others carries.

        Args:
            inputs: (T, N, ...).
            states: as from `begin_state`.
            valid_length: (N,): beyond it outputs are 0, and states are those of the last valid step.
        """
        inputs, body = zero_invalid(inputs, valid_length), scan_body(self.step, valid_length)
        carry, first = body((states, None), (0, inputs[0]))
        outputs = first[None]
        if inputs.shape[0] > 1:
            rest = (jnp.arange(1, inputs.shape[0]), inputs[1:])
            carry, others = self.scan(body, carry, rest)  # pyright: ignore[reportAttributeAccessIssue]
            outputs = jnp.concatenate([outputs, others])
        return outputs, carry[0]

    def merges(self, merged: bool, masked: bool) -> bool:
        """Whether `unroll` returns one array where its caller does not say.

        Args:
            merged: whether the input is one array.
            masked: whether there are valid lengths.
        """
        return masked

    def unroll(
        self,
        length: int | None,
        inputs: jax.Array | Sequence[jax.Array],
        begin_state: Sequence[jax.Array] | jax.Array | None = None,
        layout: Literal['NTC', 'TNC'] = 'NTC',
        merge_outputs: bool | None = None,
        valid_length: jax.Array | None = None,
    ) -> tuple[Any, list[jax.Array]]:
        """In `forward`: runs over the steps of a sequence, in one `lax.scan`.

        Args:
            length: the number of steps; None takes the input's.
            inputs: one array in `layout`, or a list of the steps, each (N, ...).
            begin_state: the first states, zeros without them.
            layout: where steps (T) and batch (N) are in the input and in merged outputs: 'NTC' or 'TNC'.
            merge_outputs: True returns one array, False a list; None a list, or an array where there are valid lengths
                (and from cells that only drop out, as MXNet does).
            valid_length: (N,), the lengths of the sequences. Inputs beyond are ignored and outputs 0 (but for cells
                that only drop out, as in MXNet); the states are those of the last valid step.

        Returns:
            The outputs, and the list of the last states.

        Raises:
            BareLayerError: outside `forward`; `Unroll` makes a network of a cell.
            ShapeError: for another number of steps than `length`, or states or lengths of wrong shapes.
            ArgumentError: for an unknown layout.
        """
        if not in_forward(self):
            raise BareLayerError(
                f'{type(self).__name__} holds no values, so it cannot be unrolled outside of forward',
                remedy='net = nn.Sequential(rnn.Unroll(cell)); net.initialize(); net(x) -- or unroll the cell in the '
                'forward of an nn.Block that holds it',
            )
        axis, whole = _time_axis(layout), hasattr(inputs, 'shape')
        xs = _steps_first(length, inputs, axis)
        batch = xs.shape[1]
        lengths = checked_length(valid_length, batch)
        if begin_state is None:
            floating = jnp.issubdtype(xs.dtype, jnp.floating)
            begin_state = self.begin_state(batch, dtype=xs.dtype) if floating else self.begin_state(batch)
        states = checked_states(begin_state, self.state_info(batch))
        outputs, states = self.sequence(xs, states, lengths)
        if merge_outputs is None:
            merge_outputs = self.merges(whole, lengths is not None)
        return jnp.moveaxis(outputs, 0, axis) if merge_outputs else list(outputs), states


def _steps_first(length: int | None, inputs: jax.Array | Sequence[jax.Array], axis: int) -> jax.Array:
    """The sequence, from an array or a list of steps, with its steps on the first axis."""
    if isinstance(inputs, list | tuple):
        if not inputs or length not in (None, len(inputs)):
            raise _wrong_steps(length, f'a list of {len(inputs)}')
        steps = [jnp.asarray(step) for step in inputs]
        if any(step.ndim == 0 for step in steps):
            raise ShapeError(
                'a step of a sequence has a batch', expected='(N, ...)', got=[step.shape for step in steps]
            )
        return jnp.stack(steps)
    array = jnp.asarray(inputs)
    if array.ndim < 2:
        arguments.rank(array, 3, 'a sequence')
    number = array.shape[axis]
    if number == 0 or (length is not None and length != number):
        raise _wrong_steps(length, f'{number} (axis {axis} of {array.shape})')
    return jnp.moveaxis(array, axis, 0)


def _wrong_steps(length: int | None, got: str) -> ShapeError:
    expected = 'one step or more' if length is None else f'{length} (unroll(length, ...))'
    return ShapeError('the sequence has another number of steps', expected=expected, got=got)


def _time_axis(layout: str) -> int:
    """The axis of the steps, in a layout such as 'NTC', 'TNC', 'NT' or 'NTCHW'."""
    if not isinstance(layout, str) or layout.replace('T', '', 1)[:1] != 'N' or layout.count('T') != 1:
        raise ArgumentError(f"layout must be one of 'NTC', 'TNC'; got {layout!r}")
    return layout.index('T')


class RecurrentCell(Unrollable, Layer):
    """The base of cells. `HybridRecurrentCell` is another name of it.

    >>> class Sum(RecurrentCell):
    ...     def state_info(self, batch_size=0):
    ...         return [{'shape': (batch_size, 1), '__layout__': 'NC'}]
    ...     def forward(self, inputs, states):
    ...         total = states[0] + inputs
    ...         return total, [total]
    >>> Unroll(Sum()).apply({}, jnp.ones((1, 4, 1)))[0, :, 0]
    Array([1., 2., 3., 4.], dtype=float32)
    """


class Unroll(Stateful, Layer):
    """A cell as a network: runs over a sequence whose length the input says.

    The output is that of `cell.unroll` as one array. Given states too, it is the outputs and the last states.

    Args:
        cell: a cell.
        layout: where steps (T) and batch (N) are in input and output: 'NTC' or 'TNC'.

    >>> from gluonjax import nn, rnn
    >>> net = nn.Sequential(rnn.Unroll(rnn.LSTMCell(100)))
    >>> net.initialize()
    >>> net(jnp.ones((2, 5, 20))).shape
    (2, 5, 100)
    >>> outputs, states = net(jnp.ones((2, 5, 20)), net[0].begin_state(2))
    """

    cell: Any  # a cell, which may be a network's definition
    layout: Literal['NTC', 'TNC']

    def __init__(self, cell: Unrollable, layout: Literal['NTC', 'TNC'] = 'NTC'):
        _time_axis(layout)
        self.cell, self.layout = checked_cell(cell), layout

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        return info_of(self.cell, batch_size)

    def forward(
        self,
        inputs: jax.Array,
        states: Sequence[jax.Array] | jax.Array | None = None,
        valid_length: jax.Array | None = None,
    ) -> Any:
        outputs, new = self.cell.unroll(None, inputs, states, self.layout, True, valid_length)
        return outputs if states is None else (outputs, new)


def checked_cell(cell: Any) -> Any:
    """The cell, if it is one."""
    definition = cell.definition if isinstance(cell, Block) else cell
    if not (isinstance(definition, Layer) and issubclass(forward_class(definition), Unrollable)):
        raise ArgumentError('this is no cell', expected='a RecurrentCell, such as rnn.LSTMCell(100)', got=repr(cell))
    return cell


def info_of(cell: Any, batch_size: int) -> list[dict[str, Any]]:
    """`cell.state_info(batch_size)`, of a network's definition too, whose methods are in the network's class."""
    if hasattr(cell, 'state_info'):
        return cell.state_info(batch_size)
    return forward_class(cell).state_info(cell, batch_size)  # pyright: ignore[reportAttributeAccessIssue]


HybridRecurrentCell = RecurrentCell
