"""Cells of cells: in a row, both ways, and with dropout, zoneout or residual connections."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from gluonjax.errors import ArgumentError, GluonError
from gluonjax.mx import symbol
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.rnn.cells import Arguments, BaseRNNCell, RNNParams, States, each, sequence
from gluonjax.mx.symbol import Symbol

sym: Any = symbol  # its operators are found by name


class _Several(BaseRNNCell):
    """A cell whose states are those of others."""

    def __init__(self, params: RNNParams | None, cells: Sequence[BaseRNNCell] = ()):
        self._cells: list[BaseRNNCell] = []
        super().__init__('', params)
        self._shares = params is not None
        for cell in cells:
            self._take(cell)

    def reset(self) -> None:
        super().reset()
        for cell in self._cells:
            cell.reset()

    def _take(self, cell: BaseRNNCell) -> None:
        if self._shares:
            if not cell.own_params:
                raise ArgumentError('a cell inside and the one around it were both given params', remedy='one of them')
            cell.params.share(self.params)
        self._cells.append(cell)
        self.params.share(cell.params)

    @property
    def state_info(self) -> list[dict[str, Any]]:
        return [info for cell in self._cells for info in cell.state_info]

    def begin_state(self, func: Callable[..., Any] = symbol.zeros, **kwargs: Any) -> States:
        self.check_unmodified()
        return [state for cell in self._cells for state in cell.begin_state(func, **kwargs)]

    def unpack_weights(self, args: Mapping[str, Any]) -> Arguments:
        return each(self._cells, 'unpack_weights', args)

    def pack_weights(self, args: Mapping[str, Any]) -> Arguments:
        return each(self._cells, 'pack_weights', args)

    def _with_states(self, states: States) -> Iterator[tuple[BaseRNNCell, States]]:
        """Each cell with its part of the states."""
        at = 0
        for cell in self._cells:
            count = len(cell.state_info)
            yield cell, states[at : at + count]
            at += count


class SequentialRNNCell(_Several):
    """Cells one above another.

    Args:
        params: those of another cell, to share them.

    >>> from gluonjax.mx import sym
    >>> from gluonjax.mx.rnn import GRUCell, LSTMCell
    >>> stack = SequentialRNNCell()
    >>> stack.add(LSTMCell(4, prefix='a_'))
    >>> stack.add(GRUCell(3, prefix='b_'))
    >>> len(stack.state_info), stack.unroll(2, sym.var('data'))[0][1].name
    (3, 'b_t1_out')
    """

    def __init__(self, params: RNNParams | None = None):
        super().__init__(params)

    def add(self, cell: BaseRNNCell) -> None:
        """Puts a cell on top."""
        self._take(cell)

    def __call__(self, inputs: Any, states: States) -> tuple[Any, States]:
        self._counter += 1
        found: States = []
        for cell, own in self._with_states(states):
            inputs, new = cell(inputs, own)
            found += new
        return inputs, found

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: States | None = None,
        layout: str = 'NTC',
        merge_outputs: bool | None = None,
    ) -> tuple[Any, States]:
        self.reset()
        found: States = []
        for cell, own in self._with_states(self.begin_state() if begin_state is None else begin_state):
            merged = merge_outputs if cell is self._cells[-1] else None
            inputs, new = cell.unroll(length, inputs, own, layout, merged)
            found += new
        return inputs, found


class BidirectionalCell(_Several):
    """Two cells, one of which reads backwards; their outputs stand beside each other.

    Args:
        l_cell: the one that reads forwards.
        r_cell: the other.
        params: those of another cell, to share them.
        output_prefix: how the names of outputs begin.
    """

    has_single_steps = False

    def __init__(
        self, l_cell: BaseRNNCell, r_cell: BaseRNNCell, params: RNNParams | None = None, output_prefix: str = 'bi_'
    ):
        super().__init__(params, (l_cell, r_cell))
        self._output_prefix = output_prefix

    def __call__(self, inputs: Any, states: States) -> tuple[Any, States]:
        raise GluonError('a bidirectional cell has no single steps', remedy='unroll(length, inputs)')

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: States | None = None,
        layout: str = 'NTC',
        merge_outputs: bool | None = None,
    ) -> tuple[Any, States]:
        self.reset()
        steps, axis = sequence(length, inputs, layout, False)
        (left, first), (right, second) = self._with_states(self.begin_state() if begin_state is None else begin_state)
        forth, forth_states = left.unroll(length, steps, first, layout, merge_outputs)
        back, back_states = right.unroll(length, steps[::-1], second, layout, merge_outputs)
        if merge_outputs is None:
            merge_outputs = isinstance(forth, Symbol) and isinstance(back, Symbol)
        states = [forth_states, back_states]
        name = self._output_prefix
        if merge_outputs:
            back = sym.reverse(back, axis=axis)
            return sym.Concat(forth, back, dim=2, name=f'{name}out'), states
        pairs = zip(*[sequence(length, one, layout, False)[0] for one in (forth, back)], strict=True)
        forth, back = zip(*pairs, strict=True)
        steps = zip(forth, reversed(back), strict=True)
        return [sym.Concat(a, b, dim=1, name=f'{name}t{i}') for i, (a, b) in enumerate(steps)], states


class DropoutCell(BaseRNNCell):
    """Dropout of its inputs; it has no state.

    Args:
        dropout: the rate.
        prefix: how names begin.
        params: those of another cell, to share them.
    """

    def __init__(self, dropout: float, prefix: str = 'dropout_', params: RNNParams | None = None):
        super().__init__(prefix, params)
        self.dropout: float = dropout

    @property
    def state_info(self) -> list[dict[str, Any]]:
        return []

    def __call__(self, inputs: Any, states: States) -> tuple[Any, States]:
        dropped = sym.Dropout(inputs, p=self.dropout) if self.dropout > 0 else inputs
        return dropped, states

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: States | None = None,
        layout: str = 'NTC',
        merge_outputs: bool | None = None,
    ) -> tuple[Any, States]:
        self.reset()
        data, _ = sequence(length, inputs, layout, merge_outputs)
        if isinstance(data, Symbol):
            return self(data, [])
        return super().unroll(length, data, begin_state, layout, merge_outputs)


class ModifierCell(BaseRNNCell):
    """The base of cells that stand in for another.

    Args:
        base_cell: the other.
    """

    def __init__(self, base_cell: BaseRNNCell):
        super().__init__()
        base_cell.modified = True
        self.base_cell: BaseRNNCell = base_cell

    @property
    def params(self) -> RNNParams:
        self._own_params = False
        return self.base_cell.params

    @property
    def state_info(self) -> list[dict[str, Any]]:
        return self.base_cell.state_info

    def begin_state(self, func: Callable[..., Any] = symbol.zeros, **kwargs: Any) -> States:
        self.check_unmodified()
        self.base_cell.modified = False
        try:
            return self.base_cell.begin_state(kwargs.pop('init_sym', func), **kwargs)
        finally:
            self.base_cell.modified = True

    def unpack_weights(self, args: Mapping[str, Any]) -> Arguments:
        return self.base_cell.unpack_weights(args)

    def pack_weights(self, args: Mapping[str, Any]) -> Arguments:
        return self.base_cell.pack_weights(args)


class ZoneoutCell(ModifierCell):
    """Keeps some elements of outputs and states as they were at the step before.

    Args:
        base_cell: the cell; none that has no single steps.
        zoneout_outputs: the rate for outputs.
        zoneout_states: the rate for states.

    Raises:
        ArgumentError: for a fused or bidirectional cell.
    """

    def __init__(self, base_cell: BaseRNNCell, zoneout_outputs: float = 0.0, zoneout_states: float = 0.0):
        if not base_cell.has_single_steps:
            remedy = 'a ZoneoutCell of each cell inside'
            raise ArgumentError(f'{type(base_cell).__name__} has no single steps for zoneout', remedy=remedy)
        super().__init__(base_cell)
        self.zoneout_outputs: float = zoneout_outputs
        self.zoneout_states: float = zoneout_states
        self.prev_output: Any = None

    def reset(self) -> None:
        super().reset()
        self.prev_output = None

    def __call__(self, inputs: Any, states: States) -> tuple[Any, States]:
        output, new = self.base_cell(inputs, states)
        before = sym.zeros_like(output) if self.prev_output is None else self.prev_output
        if self.zoneout_outputs:
            output = _kept(self.zoneout_outputs, output, before)
        if self.zoneout_states:
            new = [_kept(self.zoneout_states, *pair) for pair in zip(new, states, strict=True)]
        self.prev_output = output
        return output, new


def _kept(rate: float, new: Any, old: Any) -> Any:
    """Some elements of the new ones, by chance; the old ones elsewhere."""
    mask = sym.Dropout(sym.ones_like(new), p=rate)
    return sym.where(mask, new, old)


class ResidualCell(ModifierCell):
    """Adds its inputs to the outputs of a cell.

    Args:
        base_cell: the cell; its outputs are of the size of the inputs.
    """

    def __call__(self, inputs: Any, states: States) -> tuple[Any, States]:
        output, states = self.base_cell(inputs, states)
        return _plus(output, inputs), states

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: States | None = None,
        layout: str = 'NTC',
        merge_outputs: bool | None = None,
    ) -> tuple[Any, States]:
        self.reset()
        self.base_cell.modified = False
        try:
            outputs, states = self.base_cell.unroll(length, inputs, begin_state, layout, merge_outputs)
        finally:
            self.base_cell.modified = True
        merged = isinstance(outputs, Symbol)
        inputs, _ = sequence(length, inputs, layout, merged)
        if merged:
            return _plus(outputs, inputs), states
        return [_plus(*pair) for pair in zip(outputs, inputs, strict=True)], states


def _plus(output: Any, inputs: Any) -> Any:
    return sym.elemwise_add(output, inputs, name=f'{output.name}_plus_residual')


explain_calls(globals())
