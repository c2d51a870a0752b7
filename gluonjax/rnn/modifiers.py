"""Cells made of cells: in a row, in both directions, with dropout, zoneout and residual connections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from gluonjax import checks
from gluonjax.errors import ArgumentError, ShapeError
from gluonjax.nn import arguments
from gluonjax.nn.dropout import Dropout
from gluonjax.nn.sequential import Sequential, names_of_layers
from gluonjax.rnn.cell import RecurrentCell, Unrollable, checked_cell, info_of
from gluonjax.rnn.scan import reverse, zero_invalid
from gluonjax.rnn.states import checked_states


class SequentialRNNCell(Unrollable, Sequential):
    """Cells in a row: each takes the output of the one before. Its states are theirs, one after the other.

    `unroll` runs the first cell over the whole sequence, then the second, and so on.

    >>> from gluonjax import nn, rnn
    >>> stack = rnn.SequentialRNNCell()
    >>> stack.add(rnn.LSTMCell(20), rnn.GRUCell(10))
    >>> [info['shape'] for info in stack.state_info(2)]
    [(2, 20), (2, 20), (2, 10)]
    >>> net = nn.Sequential(rnn.Unroll(stack))
    >>> net.initialize()
    >>> net(jnp.ones((2, 5, 3))).shape
    (2, 5, 10)
    """

    def add(self, *layers: Any) -> None:
        super().add(*map(checked_cell, layers))

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        cells = [vars(self)[name] for name in names_of_layers(self)]
        return [info for cell in cells for info in info_of(cell, batch_size)]

    def forward(self, inputs: jax.Array, states: Sequence[jax.Array]) -> tuple[jax.Array, list[jax.Array]]:
        return self.step(inputs, checked_states(states, self.state_info(inputs.shape[0])))[:2]

    def step(
        self, inputs: jax.Array, states: Sequence[jax.Array], memory: Any = None
    ) -> tuple[jax.Array, list[jax.Array], Any]:
        memory, memories, new = memory or (None,) * len(self), [], []
        for (cell, own), kept in zip(_shared_out(self, states), memory, strict=True):
            inputs, own, kept = cell.step(inputs, own, kept)
            new, memories = new + own, [*memories, kept]
        return inputs, new, tuple(memories)

    def sequence(
        self, inputs: jax.Array, states: Sequence[jax.Array], valid_length: jax.Array | None = None
    ) -> tuple[jax.Array, list[jax.Array]]:
        new = []
        for cell, own in _shared_out(self, states):
            inputs, own = cell.sequence(inputs, own, valid_length)
            new += own
        return inputs, new

    def merges(self, merged: bool, masked: bool) -> bool:
        for cell in self:
            merged = cell.merges(merged, masked)
        return merged


def _shared_out(cells: Iterable[Any], states: Sequence[jax.Array]) -> Iterator[tuple[Any, list[jax.Array]]]:
    """Each cell with its own states."""
    for cell in cells:
        count = len(info_of(cell, 0))
        yield cell, list(states[:count])
        states = states[count:]


class DropoutCell(RecurrentCell):
    """Dropout as a cell without states, for a `SequentialRNNCell`. Each step draws its own mask.

    Args:
        rate: the probability, from 0 to 1.
        axes: axes of a step's input along which the mask is broadcast.

    >>> DropoutCell(0.5).apply({}, jnp.ones((1, 2)), [])
    (Array([[1., 1.]], dtype=float32), [])
    """

    rate: float
    axes: tuple[int, ...]
    dropout: Dropout

    def __init__(self, rate: float, axes: int | Sequence[int] = ()):
        self.rate, self.axes = checks.number('rate', rate, 0, 1), arguments.axes('axes', axes)
        self.dropout = Dropout(rate, tuple(axis + 1 if axis >= 0 else axis for axis in self.axes))

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        return []

    def forward(self, inputs: jax.Array, states: Sequence[jax.Array]) -> tuple[jax.Array, list[jax.Array]]:
        return self.dropout(inputs[None])[0], list(states)

    def sequence(
        self, inputs: jax.Array, states: Sequence[jax.Array], valid_length: jax.Array | None = None
    ) -> tuple[jax.Array, list[jax.Array]]:
        return self.dropout(inputs), list(states)

    def merges(self, merged: bool, masked: bool) -> bool:
        return merged


class BidirectionalCell(RecurrentCell):
    """Two cells over the same sequence, one from its first step to its last, one from its last (valid) to its first.

    Their outputs are concatenated along the channels. It can be unrolled, but not called for a single step.

    Args:
        l_cell: from the first step on.
        r_cell: from the last valid step back.
        output_prefix: accepted for Gluon programs; names come from the structure.

    >>> from gluonjax import rnn
    >>> layer = rnn.Unroll(BidirectionalCell(rnn.GRUCell(3), rnn.GRUCell(2)))
    >>> layer.apply(layer.init(0, x := jnp.ones((1, 4, 2))), x).shape
    (1, 4, 5)
    """

    l_cell: Any
    r_cell: Any

    def __init__(self, l_cell: Unrollable, r_cell: Unrollable, output_prefix: str = 'bi_'):
        self.l_cell, self.r_cell = checked_cell(l_cell), checked_cell(r_cell)

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        return info_of(self.l_cell, batch_size) + info_of(self.r_cell, batch_size)

    def forward(self, inputs: jax.Array, states: Sequence[jax.Array]) -> tuple[jax.Array, list[jax.Array]]:
        raise ArgumentError('a bidirectional cell has no single steps', remedy='cell.unroll(length, inputs)')

    def sequence(
        self, inputs: jax.Array, states: Sequence[jax.Array], valid_length: jax.Array | None = None
    ) -> tuple[jax.Array, list[jax.Array]]:
        (l_cell, l_states), (r_cell, r_states) = _shared_out([self.l_cell, self.r_cell], states)
        left, l_states = l_cell.sequence(inputs, l_states, valid_length)
        right, r_states = r_cell.sequence(reverse(inputs, valid_length), r_states, valid_length)
        return jnp.concatenate([left, reverse(right, valid_length)], 2), l_states + r_states


class ModifierCell(RecurrentCell):
    """The base of cells that change what another cell, `base_cell`, computes; its parameters are that cell's."""

    base_cell: Any

    def __init__(self, base_cell: Unrollable):
        self.base_cell = checked_cell(base_cell)

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        return info_of(self.base_cell, batch_size)

    def forward(self, inputs: jax.Array, states: Sequence[jax.Array]) -> tuple[jax.Array, list[jax.Array]]:
        if type(self).step is RecurrentCell.step:
            raise NotImplementedError(f'{type(self).__name__} has no step(self, inputs, states, memory)')
        return self.step(inputs, states)[:2]


class ResidualCell(ModifierCell):
    """Adds the input to the cell's output (Wu et al., 2016).

    Raises:
        ShapeError: when called, if they differ in shape.

    >>> from gluonjax import rnn
    >>> cell = ResidualCell(rnn.RNNCell(2, i2h_weight_initializer='zeros', input_size=2))
    >>> cell.apply(cell.init(0), jnp.ones((1, 2)), cell.begin_state(1))[0]
    Array([[1., 1.]], dtype=float32)
    """

    def step(
        self, inputs: jax.Array, states: Sequence[jax.Array], memory: Any = None
    ) -> tuple[jax.Array, list[jax.Array], Any]:
        output, new, memory = self.base_cell.step(inputs, states, memory)
        return _sum(output, inputs), new, memory

    def sequence(
        self, inputs: jax.Array, states: Sequence[jax.Array], valid_length: jax.Array | None = None
    ) -> tuple[jax.Array, list[jax.Array]]:
        outputs, new = self.base_cell.sequence(inputs, states, valid_length)
        return _sum(outputs, zero_invalid(inputs, valid_length)), new

    def merges(self, merged: bool, masked: bool) -> bool:
        return self.base_cell.merges(merged, masked)


def _sum(output: jax.Array, inputs: jax.Array) -> jax.Array:
    if output.shape != inputs.shape:
        raise ShapeError(
            'the cell in a ResidualCell changes the shape',
            expected=f'{inputs.shape}, as the input has',
            got=output.shape,
            remedy='a cell whose output is as wide as its input',
        )
    return output + inputs


class ZoneoutCell(ModifierCell):
    """In training, lets elements of output and states keep their value of the step before (Krueger et al., 2016).

    The output before the first step is taken as 0, and so it is in a single call `cell(inputs, states)`, which knows
    nothing of earlier outputs: `unroll` carries them. Inference is that of the base cell, as in MXNet.

    Args:
        base_cell: the cell.
        zoneout_outputs: the probability that an element of the output stays.
        zoneout_states: the probability that an element of a state stays.
    """

    zoneout_outputs: float
    zoneout_states: float

    def __init__(self, base_cell: Unrollable, zoneout_outputs: float = 0.0, zoneout_states: float = 0.0):
        _refuse_bidirectional(base_cell, 'zoneout')
        super().__init__(base_cell)
        self.zoneout_outputs = checks.number('zoneout_outputs', zoneout_outputs, 0, 1)
        self.zoneout_states = checks.number('zoneout_states', zoneout_states, 0, 1)

    def step(
        self, inputs: jax.Array, states: Sequence[jax.Array], memory: Any = None
    ) -> tuple[jax.Array, list[jax.Array], Any]:
        before, memory = (None, None) if memory is None else memory
        output, new, memory = self.base_cell.step(inputs, states, memory)
        output = self.mixed(self.zoneout_outputs, output, jnp.zeros_like(output) if before is None else before)
        new = [self.mixed(self.zoneout_states, after, old) for after, old in zip(new, states, strict=True)]
        return output, new, (output, memory)

    def mixed(self, rate: float, new: jax.Array, old: jax.Array) -> jax.Array:
        """`new`, in training with each element `old` with probability `rate`."""
        if not self.training or rate == 0:
            return new
        return jnp.where(jax.random.bernoulli(self.next_key(), rate, new.shape), old, new)


class VariationalDropoutCell(ModifierCell):
    """Dropout with the same mask at all steps of a sequence (Gal and Ghahramani, 2016).

    `unroll` draws the masks once for each sequence; a single call `cell(inputs, states)` is a sequence of one step.

    Args:
        base_cell: the cell.
        drop_inputs: the rate for inputs.
        drop_states: the rate for the first state, which is h.
        drop_outputs: the rate for outputs.
    """

    drop_inputs: float
    drop_states: float
    drop_outputs: float
    of_inputs: Dropout
    of_states: Dropout
    of_outputs: Dropout

    def __init__(
        self, base_cell: Unrollable, drop_inputs: float = 0.0, drop_states: float = 0.0, drop_outputs: float = 0.0
    ):
        super().__init__(base_cell)
        self.drop_inputs = checks.number('drop_inputs', drop_inputs, 0, 1)
        self.drop_states = checks.number('drop_states', drop_states, 0, 1)
        if self.drop_states:
            _refuse_bidirectional(base_cell, 'dropout of states')
        self.drop_outputs = checks.number('drop_outputs', drop_outputs, 0, 1)
        self.of_inputs, self.of_outputs = Dropout(drop_inputs, axes=(0,)), Dropout(drop_outputs, axes=(0,))
        self.of_states = Dropout(drop_states)

    def step(
        self, inputs: jax.Array, states: Sequence[jax.Array], memory: Any = None
    ) -> tuple[jax.Array, list[jax.Array], Any]:
        """Memory: the masks of inputs, states and outputs, and what the base cell keeps."""
        masks, memory = ({}, None) if memory is None else memory
        inputs, masks = self.masked('of_inputs', inputs, masks)
        if self.drop_states:
            h, masks = self.masked('of_states', states[0], masks)
            states = [h, *states[1:]]
        output, new, memory = self.base_cell.step(inputs, states, memory)
        output, masks = self.masked('of_outputs', output, masks)
        return output, new, (masks, memory)

    def masked(self, which: str, x: jax.Array, masks: dict[str, jax.Array]) -> tuple[jax.Array, dict[str, jax.Array]]:
        """`x` times its mask, and the masks with that one, which the first step draws."""
        if which not in masks:
            masks = {**masks, which: getattr(self, which)(jnp.ones_like(x[None]))[0]}
        return x * masks[which], masks

    def sequence(
        self, inputs: jax.Array, states: Sequence[jax.Array], valid_length: jax.Array | None = None
    ) -> tuple[jax.Array, list[jax.Array]]:
        if self.drop_states:
            return super().sequence(inputs, states, valid_length)
        outputs, new = self.base_cell.sequence(self.of_inputs(inputs), states, valid_length)
        return self.of_outputs(outputs), new

    def merges(self, merged: bool, masked: bool) -> bool:
        return masked or not self.drop_states


def _refuse_bidirectional(cell: Any, what: str) -> None:
    if isinstance(cell, BidirectionalCell):
        raise ArgumentError(
            f'a bidirectional cell has no single steps, which {what} needs',
            remedy='put it around the cells inside: BidirectionalCell(ZoneoutCell(...), ZoneoutCell(...))',
        )


HybridSequentialRNNCell = SequentialRNNCell
