"""Cells made of cells: in a row, in both directions, with dropout, zoneout and residual connections."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from gluonjax import checks
from gluonjax.errors import ArgumentError, ShapeError
from gluonjax.nn.dropout import Dropout
from gluonjax.nn.sequential import Sequential
from gluonjax.rnn import steps
from gluonjax.rnn.cells import RecurrentCell, Steps, checked_cell, info_of


class SequentialRNNCell(Steps, Sequential):
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

    def add(self, *layers) -> None:
        super().add(*map(checked_cell, layers))

    def state_info(self, batch_size=0):
        cells = [cell for name, cell in vars(self).items() if name.isdigit()]
        return [info for cell in cells for info in info_of(cell, batch_size)]

    def forward(self, inputs, states):  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.step(inputs, steps.checked_states(states, self.state_info(len(inputs))))[:2]

    def step(self, inputs, states, memory=None):
        memory, memories, new = memory or (None,) * len(self), [], []
        for (cell, own), kept in zip(_shared_out(self, states), memory, strict=True):
            inputs, own, kept = cell.step(inputs, own, kept)
            new, memories = new + own, [*memories, kept]
        return inputs, new, tuple(memories)

    def sequence(self, inputs, states, valid_length=None):
        new = []
        for cell, own in _shared_out(self, states):
            inputs, own = cell.sequence(inputs, own, valid_length)
            new += own
        return inputs, new

    def merges(self, merged, masked):
        for cell in self:
            merged = cell.merges(merged, masked)
        return merged


def _shared_out(cells, states) -> Iterator[tuple[Any, steps.States]]:
    """Each cell with its own states."""
    for cell in cells:
        count = len(info_of(cell, 0))
        yield cell, list(states[:count])
        states = states[count:]


class DropoutCell(RecurrentCell):
    """Dropout as a cell without states, for a `SequentialRNNCell`. Each step draws a mask of its own.

    Args:
        rate: the probability, from 0 to 1.
        axes: axes of a step's input along which all elements share one decision.

    >>> DropoutCell(0.5).apply({}, jnp.ones((1, 2)), [])
    (Array([[1., 1.]], dtype=float32), [])
    """

    def __init__(self, rate, axes=()):
        self.rate, self.axes = rate, (axes,) if isinstance(axes, int) else tuple(axes)
        self.dropout = Dropout(rate, tuple(axis + 1 if axis >= 0 else axis for axis in self.axes))

    def state_info(self, batch_size=0):
        return []

    def forward(self, inputs, states):
        return self.dropout(inputs[None])[0], states

    def sequence(self, inputs, states, valid_length=None):
        return self.dropout(inputs), states

    def merges(self, merged, masked):
        return merged


class BidirectionalCell(RecurrentCell):
    """Two cells over the same sequence, one from its first step to its last, one from its last (valid) to its first.

    Their outputs are joined along the channels. It can be unrolled only, as a step back needs the end.

    Args:
        l_cell: from the first step on.
        r_cell: from the last valid step back.
        output_prefix: MXNet's; names come from the structure here.

    >>> from gluonjax import rnn
    >>> layer = rnn.Unroll(BidirectionalCell(rnn.GRUCell(3), rnn.GRUCell(2)))
    >>> layer.apply(layer.init(0, x := jnp.ones((1, 4, 2))), x).shape
    (1, 4, 5)
    """

    def __init__(self, l_cell, r_cell, output_prefix='bi_'):
        self.l_cell, self.r_cell = checked_cell(l_cell), checked_cell(r_cell)

    def state_info(self, batch_size=0):
        return info_of(self.l_cell, batch_size) + info_of(self.r_cell, batch_size)

    def forward(self, inputs, states):
        raise ArgumentError('a bidirectional cell has no single steps', remedy='cell.unroll(length, inputs)')

    def sequence(self, inputs, states, valid_length=None):
        (l_cell, l_states), (r_cell, r_states) = _shared_out([self.l_cell, self.r_cell], states)
        left, l_states = l_cell.sequence(inputs, l_states, valid_length)
        right, r_states = r_cell.sequence(steps.backwards(inputs, valid_length), r_states, valid_length)
        return jnp.concatenate([left, steps.backwards(right, valid_length)], 2), l_states + r_states


class ModifierCell(RecurrentCell):
    """The base of cells that change what another cell, `base_cell`, computes; its parameters are that cell's."""

    def __init__(self, base_cell):
        self.base_cell = checked_cell(base_cell)

    def state_info(self, batch_size=0):
        return info_of(self.base_cell, batch_size)

    def forward(self, inputs, states):
        return self.step(inputs, states)[:2]


class ResidualCell(ModifierCell):
    """Adds the input to the cell's output (Wu et al., 2016).

    Raises:
        ShapeError: in a run, if they differ in shape.

    >>> from gluonjax import rnn
    >>> cell = ResidualCell(rnn.RNNCell(2, i2h_weight_initializer='zeros', input_size=2))
    >>> cell.apply(cell.init(0), jnp.ones((1, 2)), cell.begin_state(1))[0]
    Array([[1., 1.]], dtype=float32)
    """

    def step(self, inputs, states, memory=None):
        output, states, memory = self.base_cell.step(inputs, states, memory)
        return _sum(output, inputs), states, memory

    def sequence(self, inputs, states, valid_length=None):
        outputs, states = self.base_cell.sequence(inputs, states, valid_length)
        return _sum(outputs, steps.masked(inputs, valid_length)), states

    def merges(self, merged, masked):
        return self.base_cell.merges(merged, masked)


def _sum(output, inputs) -> jax.Array:
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

    Before the first step the output counts as 0, and so it does in a single call `cell(inputs, states)`, which knows
    nothing of earlier outputs: `unroll` carries them. Inference is that of the base cell, as MXNet's.

    Args:
        base_cell: the cell.
        zoneout_outputs: the probability that an element of the output stays.
        zoneout_states: the probability that an element of a state stays.
    """

    def __init__(self, base_cell, zoneout_outputs=0.0, zoneout_states=0.0):
        _refuse_bidirectional(base_cell, 'zoneout')
        super().__init__(base_cell)
        self.zoneout_outputs = checks.number('zoneout_outputs', zoneout_outputs, 0, 1)
        self.zoneout_states = checks.number('zoneout_states', zoneout_states, 0, 1)

    def step(self, inputs, states, memory=None):
        before, memory = (None, None) if memory is None else memory
        output, new, memory = self.base_cell.step(inputs, states, memory)
        output = self.mixed(self.zoneout_outputs, output, jnp.zeros_like(output) if before is None else before)
        new = [self.mixed(self.zoneout_states, after, old) for after, old in zip(new, states, strict=True)]
        return output, new, (output, memory)

    def mixed(self, rate: float, new, old) -> jax.Array:
        """`new`, in training with each element `old` with probability `rate`."""
        if not self.training or rate == 0:
            return new
        return jnp.where(jax.random.bernoulli(self.next_key(), rate, new.shape), old, new)


class VariationalDropoutCell(ModifierCell):
    """Dropout with the same mask at all steps of a sequence (Gal and Ghahramani, 2016).

    `unroll` draws the masks once for each sequence; a single call `cell(inputs, states)` is a sequence of one step, and
    draws its own.

    Args:
        base_cell: the cell.
        drop_inputs: the rate for inputs.
        drop_states: the rate for the first state, which is h.
        drop_outputs: the rate for outputs.
    """

    def __init__(self, base_cell, drop_inputs=0.0, drop_states=0.0, drop_outputs=0.0):
        if drop_states:
            _refuse_bidirectional(base_cell, 'dropout of states')
        super().__init__(base_cell)
        self.drop_inputs, self.drop_states, self.drop_outputs = drop_inputs, drop_states, drop_outputs
        self.of_inputs, self.of_outputs = Dropout(drop_inputs, axes=(0,)), Dropout(drop_outputs, axes=(0,))
        self.of_states = Dropout(drop_states)

    def step(self, inputs, states, memory=None):
        """Memory: the masks of inputs, states and outputs, and what the base cell keeps."""
        masks, memory = ({}, None) if memory is None else memory
        inputs, masks = self.masked('of_inputs', inputs, masks)
        if self.drop_states:
            h, masks = self.masked('of_states', states[0], masks)
            states = [h, *states[1:]]
        output, new, memory = self.base_cell.step(inputs, states, memory)
        output, masks = self.masked('of_outputs', output, masks)
        return output, new, (masks, memory)

    def masked(self, which: str, x, masks) -> tuple[jax.Array, dict[str, jax.Array]]:
        """X times its mask, and the masks with that one, which the first step draws."""
        if which not in masks:
            masks = {**masks, which: getattr(self, which)(jnp.ones_like(x[None]))[0]}
        return x * masks[which], masks

    def sequence(self, inputs, states, valid_length=None):
        if self.drop_states:
            return super().sequence(inputs, states, valid_length)
        outputs, states = self.base_cell.sequence(self.of_inputs(inputs), states, valid_length)
        return self.of_outputs(outputs), states

    def merges(self, merged, masked):
        return masked or not self.drop_states


def _refuse_bidirectional(cell, what: str) -> None:
    if isinstance(cell, BidirectionalCell):
        raise ArgumentError(
            f'a bidirectional cell has no single steps, which {what} needs',
            remedy='put it around the cells inside: BidirectionalCell(ZoneoutCell(...), ZoneoutCell(...))',
        )


HybridSequentialRNNCell = SequentialRNNCell
