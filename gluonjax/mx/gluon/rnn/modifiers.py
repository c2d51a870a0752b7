"""Cells made of cells: in a row, in both directions, with dropout, zoneout and residual connections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from gluonjax.errors import ArgumentError
from gluonjax.mx import ndarray
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.gluon.block import children_of
from gluonjax.mx.gluon.parameter import ParameterDict
from gluonjax.mx.gluon.rnn.cell import HybridRecurrentCell, RecurrentCell, first_states
from gluonjax.mx.gluon.rnn.sequences import (
    Layout,
    formed,
    is_whole,
    masked,
    operators_of,
    reversed_steps,
    steps_of,
)


def _states_of(cells: Iterable[Any], batch_size: int) -> list[dict[str, Any]]:
    return [info for cell in cells for info in cell.state_info(batch_size)]


def _shared_out(cells: Iterable[Any], states: Sequence[Any]) -> Iterator[tuple[Any, list[Any]]]:
    """Each cell with its own states."""
    for cell in cells:
        count = len(cell.state_info())
        yield cell, list(states[:count])
        states = states[count:]


class _Several(RecurrentCell):
    """Cells whose states are theirs, one after the other."""

    @property
    def _cells(self) -> list[Any]:
        return list(children_of(self).values())

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        """For each state a dict with its 'shape' and '__layout__'."""
        return _states_of(self._cells, batch_size)

    def begin_state(self, batch_size: int = 0, func: Callable[..., Any] = ndarray.zeros, **kwargs: Any) -> list[Any]:
        """The states of all cells before the first step."""
        if self._modified:
            return super().begin_state(batch_size, func, **kwargs)  # which refuses
        return [state for cell in self._cells for state in cell.begin_state(batch_size, func=func, **kwargs)]


class SequentialRNNCell(_Several):
    """Cells in a row: each takes the output of the one before.

    >>> from gluonjax.mx import gluon, nd
    >>> stack = SequentialRNNCell()
    >>> stack.add(gluon.rnn.LSTMCell(2))
    >>> stack.add(gluon.rnn.GRUCell(3))
    >>> stack.initialize()
    >>> outputs, states = stack.unroll(4, nd.ones((1, 4, 5)), merge_outputs=True)
    >>> outputs.shape, [state.shape for state in states]
    ((1, 4, 3), [(1, 2), (1, 2), (1, 3)])
    """

    def add(self, cell: RecurrentCell) -> None:
        """Adds a cell at the end."""
        self.register_child(cell)

    def forward(self, inputs: Any, states: Any) -> Any:
        """One step of all cells."""
        new = []
        for cell, own in _shared_out(self._cells, states):
            inputs, own = cell(inputs, own)
            new += own
        return inputs, new

    def hybrid_forward(self, F: Any, inputs: Any, states: Any) -> Any:
        """As `forward`."""
        return self.forward(inputs, states)

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: Sequence[Any] | None = None,
        layout: Layout = 'NTC',
        merge_outputs: bool | None = None,
        valid_length: Any = None,
    ) -> tuple[Any, list[Any]]:
        """Runs the first cell over the whole sequence, then the second, and so on."""
        self.reset()
        states, cells, new = first_states(self, begin_state, inputs, layout), self._cells, []
        for cell, own in _shared_out(cells, states):
            merge = merge_outputs if cell is cells[-1] else None
            inputs, own = cell.unroll(length, inputs, own, layout, merge, valid_length)
            new += own
        return inputs, new

    def __getitem__(self, index: int) -> Any:
        return self._cells[index]

    def __len__(self) -> int:
        return len(children_of(self))

    def __repr__(self) -> str:
        lines = [f'({number}): {cell!r}' for number, cell in enumerate(self._cells)]
        return '\n'.join([f'{type(self).__name__}(', *lines, ')'])


class HybridSequentialRNNCell(SequentialRNNCell, HybridRecurrentCell):
    """Cells in a row, which can be compiled."""


class DropoutCell(HybridRecurrentCell):
    """Dropout as a cell without states.

    Args:
        rate: the probability that an element is dropped.
        axes: along which the mask is the same.
        prefix: MXNet's.
        params: MXNet's.
    """

    def __init__(
        self, rate: float, axes: Sequence[int] = (), prefix: str | None = None, params: ParameterDict | None = None
    ):
        if not isinstance(rate, int | float):
            raise ArgumentError('rate must be a number', got=repr(rate))
        super().__init__(prefix, params)
        self._rate, self._axes = rate, axes

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        """No states."""
        return []

    def _alias(self) -> str:
        return 'dropout'

    def hybrid_forward(self, F: Any, inputs: Any, states: Any) -> Any:
        """Drops out, in training."""
        if self._rate > 0:
            inputs = F.Dropout(inputs, p=self._rate, axes=tuple(self._axes), name=f'{self.step_prefix}fwd')
        return inputs, states

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: Sequence[Any] | None = None,
        layout: Layout = 'NTC',
        merge_outputs: bool | None = None,
        valid_length: Any = None,
    ) -> tuple[Any, list[Any]]:
        """Drops out from the whole sequence at once, if it is in one piece."""
        self.reset()
        inputs = formed(length, inputs, layout, merge_outputs)
        if is_whole(inputs):
            return self.hybrid_forward(operators_of(inputs), inputs, begin_state or [])
        return super().unroll(length, inputs, begin_state, layout, merge_outputs)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(rate={self._rate}, axes={self._axes})'


class ModifierCell(HybridRecurrentCell):
    """The base of cells that change what another cell, `base_cell`, computes; its parameters are that cell's.

    Args:
        base_cell: the cell, which is no longer called by itself.
    """

    def __init__(self, base_cell: RecurrentCell):
        super().__init__(base_cell.prefix + self._alias())
        base_cell._modified = True
        self.base_cell: RecurrentCell = base_cell

    @property
    def params(self) -> ParameterDict:
        """The parameters of the cell inside."""
        return self.base_cell.params if 'base_cell' in vars(self) else super().params

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        """The states of the cell inside."""
        return self.base_cell.state_info(batch_size)

    def begin_state(self, batch_size: int = 0, func: Callable[..., Any] = ndarray.zeros, **kwargs: Any) -> list[Any]:
        """The states of the cell inside before the first step."""
        if self._modified:
            return super().begin_state(batch_size, func, **kwargs)  # which refuses
        self.base_cell._modified = False
        try:
            return self.base_cell.begin_state(batch_size, func=func, **kwargs)
        finally:
            self.base_cell._modified = True

    def unroll_base(self, *args: Any) -> Any:
        """`unroll` of the cell inside."""
        self.base_cell._modified = False
        try:
            return self.base_cell.unroll(*args)
        finally:
            self.base_cell._modified = True

    def hybrid_forward(self, F: Any, inputs: Any, states: Any) -> Any:
        """One step."""
        raise NotImplementedError(f'{type(self).__name__} has no hybrid_forward(self, F, inputs, states)')

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.base_cell!r})'


def refuse_bidirectional(cell: Any, what: str) -> None:
    """Refuses cells without single steps.

    Raises:
        ArgumentError: if the cell runs in both directions, or holds one that does.
    """
    inside = [cell, *children_of(cell).values()] if isinstance(cell, SequentialRNNCell) else [cell]
    if any(isinstance(each, BidirectionalCell) for each in inside):
        raise ArgumentError(
            f'a bidirectional cell has no single steps, which {what} needs',
            remedy='put it around the cells inside: BidirectionalCell(ZoneoutCell(...), ZoneoutCell(...))',
        )


class ZoneoutCell(ModifierCell):
    """In training, lets elements of output and states keep their value of the step before (Krueger et al., 2016).

    Args:
        base_cell: the cell.
        zoneout_outputs: the probability that an element of the output stays.
        zoneout_states: the probability that an element of a state stays.
    """

    def __init__(self, base_cell: RecurrentCell, zoneout_outputs: float = 0.0, zoneout_states: float = 0.0):
        refuse_bidirectional(base_cell, 'zoneout')
        super().__init__(base_cell)
        self.zoneout_outputs: float = zoneout_outputs
        self.zoneout_states: float = zoneout_states
        self._prev_output: Any = None

    def _alias(self) -> str:
        return 'zoneout'

    def reset(self) -> None:
        """Forgets the output before."""
        super().reset()
        self._prev_output = None

    def hybrid_forward(self, F: Any, inputs: Any, states: Any) -> Any:
        """One step."""

        def mixed(rate: float, new: Any, old: Any) -> Any:
            return F.where(F.Dropout(F.ones_like(new), p=rate), new, old) if rate else new

        output, after = self.base_cell(inputs, states)
        before = F.zeros_like(output) if self._prev_output is None else self._prev_output
        output = mixed(self.zoneout_outputs, output, before)
        after = [mixed(self.zoneout_states, new, old) for new, old in zip(after, states, strict=True)]
        self._prev_output = output
        return output, after

    def __repr__(self) -> str:
        return f'{type(self).__name__}(p_out={self.zoneout_outputs}, p_state={self.zoneout_states}, {self.base_cell!r})'


class ResidualCell(ModifierCell):
    """Adds the input to the cell's output (Wu et al., 2016)."""

    def hybrid_forward(self, F: Any, inputs: Any, states: Any) -> Any:
        """One step."""
        output, states = self.base_cell(inputs, states)
        return F.elemwise_add(output, inputs, name=f'{self.step_prefix}fwd'), states

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: Sequence[Any] | None = None,
        layout: Layout = 'NTC',
        merge_outputs: bool | None = None,
        valid_length: Any = None,
    ) -> tuple[Any, list[Any]]:
        """Runs the cell inside over the sequence, and adds it."""
        self.reset()
        outputs, states = self.unroll_base(length, inputs, begin_state, layout, merge_outputs, valid_length)
        if valid_length is not None:
            inputs = masked(inputs, valid_length, layout)
        inputs = formed(length, inputs, layout, is_whole(outputs))
        add = operators_of(outputs).elemwise_add
        if is_whole(outputs):
            return add(outputs, inputs), states
        return [add(output, step) for output, step in zip(outputs, inputs, strict=True)], states


class BidirectionalCell(_Several, HybridRecurrentCell):
    """Two cells over the same sequence, one from its first step, one from its last (valid) one; outputs side by side.

    Args:
        l_cell: from the first step on.
        r_cell: from the last step back.
        prefix: MXNet's.
        params: MXNet's.
        output_prefix: what the names of outputs begin with.
    """

    def __init__(
        self,
        l_cell: RecurrentCell,
        r_cell: RecurrentCell,
        prefix: str = '',
        params: ParameterDict | None = None,
        output_prefix: str = 'bi_',
    ):
        super().__init__(prefix, params)
        self.register_child(l_cell, 'l_cell')
        self.register_child(r_cell, 'r_cell')
        self._output_prefix = output_prefix

    def __call__(self, *args: Any) -> Any:
        """Refuses: there are no single steps."""
        raise NotImplementedError('a bidirectional cell has no single steps: cell.unroll(length, inputs)')

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: Sequence[Any] | None = None,
        layout: Layout = 'NTC',
        merge_outputs: bool | None = None,
        valid_length: Any = None,
    ) -> tuple[Any, list[Any]]:
        """Runs both cells over the sequence."""
        self.reset()
        steps = steps_of(length, inputs, layout)
        (left, left_states), (right, right_states) = _shared_out(
            self._cells, first_states(self, begin_state, steps, 'NC')
        )
        there, left_states = left.unroll(length, steps, left_states, layout, False, valid_length)
        back, right_states = right.unroll(
            length, reversed_steps(steps, valid_length), right_states, layout, False, valid_length
        )
        back, F = reversed_steps(back, valid_length), operators_of(steps)
        prefix = self._output_prefix
        outputs = [
            F.concat(x, y, dim=1, name=f'{prefix}t{i}') for i, (x, y) in enumerate(zip(there, back, strict=True))
        ]
        if valid_length is not None:
            outputs = masked(outputs, valid_length, layout)
        return formed(length, outputs, layout, merge_outputs), left_states + right_states

    def __repr__(self) -> str:
        left, right = self._cells
        return f'{type(self).__name__}(forward={left!r}, backward={right!r})'


explain_calls(globals())
