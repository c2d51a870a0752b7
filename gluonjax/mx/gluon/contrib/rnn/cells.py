"""Cells of `gluon.contrib.rnn`: one mask of dropout for a whole sequence, and LSTM with a projection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gluonjax.mx.entry import explain_calls
from gluonjax.mx.gluon.parameter import Parameter
from gluonjax.mx.gluon.rnn import LSTMCell, ModifierCell, RecurrentCell
from gluonjax.mx.gluon.rnn.modifiers import refuse_bidirectional
from gluonjax.mx.gluon.rnn.sequences import Layout, formed, joined, operators_of


class VariationalDropoutCell(ModifierCell):
    """Dropout with the same mask at all steps of a sequence (Gal and Ghahramani, 2016); `reset` forgets the masks.

    Args:
        base_cell: the cell.
        drop_inputs: the rate for inputs.
        drop_states: the rate for the first state, which is h.
        drop_outputs: the rate for outputs.
    """

    def __init__(
        self, base_cell: RecurrentCell, drop_inputs: float = 0.0, drop_states: float = 0.0, drop_outputs: float = 0.0
    ):
        if drop_states:
            refuse_bidirectional(base_cell, 'dropout of states')
        super().__init__(base_cell)
        self.drop_inputs: float = drop_inputs
        self.drop_states: float = drop_states
        self.drop_outputs: float = drop_outputs
        self.drop_inputs_mask: Any = None
        self.drop_states_mask: Any = None
        self.drop_outputs_mask: Any = None

    def _alias(self) -> str:
        return 'vardrop'

    def reset(self) -> None:
        """Forgets the masks."""
        super().reset()
        self.drop_inputs_mask = self.drop_states_mask = self.drop_outputs_mask = None

    def _dropped(self, F: Any, which: str, x: Any) -> Any:
        rate = getattr(self, f'drop_{which}')
        if not rate:
            return x
        mask = getattr(self, f'drop_{which}_mask')
        if mask is None:
            mask = F.Dropout(F.ones_like(x), p=rate)
            setattr(self, f'drop_{which}_mask', mask)
        return F.elemwise_mul(x, mask)

    def hybrid_forward(self, F: Any, inputs: Any, states: Any) -> Any:
        """One step."""
        if self.drop_states:
            states = [self._dropped(F, 'states', states[0]), *states[1:]]
        output, states = self.base_cell(self._dropped(F, 'inputs', inputs), states)
        return self._dropped(F, 'outputs', output), states

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: Sequence[Any] | None = None,
        layout: Layout = 'NTC',
        merge_outputs: bool | None = None,
        valid_length: Any = None,
    ) -> tuple[Any, list[Any]]:
        """Runs over the sequence, with one mask for all steps."""
        if self.drop_states:
            return super().unroll(length, inputs, begin_state, layout, merge_outputs, valid_length)
        self.reset()
        axis, F = layout.index('T'), operators_of(inputs)

        def dropped(rate: float, x: Any) -> Any:
            return F.Dropout(x, p=rate, axes=(axis,)) if rate else x

        whole = dropped(self.drop_inputs, joined(inputs, layout))
        outputs, states = self.unroll_base(length, whole, begin_state, layout, True, valid_length)
        outputs = dropped(self.drop_outputs, outputs)
        return formed(length, outputs, layout, True if merge_outputs is None else merge_outputs), states

    def __repr__(self) -> str:
        return f'{type(self).__name__}(p_out = {self.drop_outputs}, p_state = {self.drop_states})'


class LSTMPCell(LSTMCell):
    """An LSTM whose output and first state are projected (Sak et al., 2014).

    Args:
        hidden_size: the width of the cell.
        projection_size: the width of the output.
        i2h_weight_initializer: of the weight of the input.
        h2h_weight_initializer: of the weight of the state.
        h2r_weight_initializer: of the projection.
        *args: the initializers of biases, `input_size`, `prefix` and `params`.
        **kwargs: the same by name.
    """

    def __init__(
        self,
        hidden_size: int,
        projection_size: int,
        i2h_weight_initializer: Any = None,
        h2h_weight_initializer: Any = None,
        h2r_weight_initializer: Any = None,
        *args: Any,
        **kwargs: Any,
    ):
        self._projection_size = projection_size
        super().__init__(hidden_size, i2h_weight_initializer, h2h_weight_initializer, *args, **kwargs)
        self.h2r_weight: Parameter = self.params.get(
            'h2r_weight',
            shape=(projection_size, hidden_size),
            init=h2r_weight_initializer,
            allow_deferred_init=True,
        )

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """The widths of the states."""
        return (self._projection_size, super().state_sizes[1])

    def hybrid_forward(self, F: Any, inputs: Any, states: Any, *values: Any, **parameters: Any) -> Any:
        """One step."""
        names = ('i2h_weight', 'h2h_weight', 'h2r_weight', 'i2h_bias', 'h2h_bias')
        parameters.update(zip(names, values, strict=False))
        weight = parameters.pop('h2r_weight')
        _, (h, c) = super().hybrid_forward(F, inputs, states, **parameters)
        at = self.step_prefix
        r = F.FullyConnected(h, weight, num_hidden=self.state_sizes[0], no_bias=True, name=f'{at}out')
        return r, [r, c]

    def __repr__(self) -> str:
        return f'{super().__repr__()[:-1]} -> {self.state_sizes[0]})'


def dynamic_unroll(
    cell: RecurrentCell,
    inputs: Any,
    begin_state: Any,
    drop_inputs: float = 0.0,
    drop_outputs: float = 0.0,
    layout: Layout = 'TNC',
    valid_length: Any = None,
) -> tuple[Any, Any]:
    """Runs a cell over the steps of a sequence, as one loop: `foreach`.

    Args:
        cell: the cell.
        inputs: one array or symbol in `layout`.
        begin_state: the first states.
        drop_inputs: the rate of dropout of the inputs, the same at all steps.
        drop_outputs: that of the outputs.
        layout: where steps (T) and batch (N) are.
        valid_length: (N,), the lengths of the sequences: outputs beyond them are 0, and the states are those of the
            last valid step.

    Returns:
        The outputs in `layout`, and the last states.
    """
    axis, F = layout.index('T'), operators_of(inputs)

    def dropped(rate: float, x: Any) -> Any:
        return F.Dropout(x, p=rate, axes=(0,)) if rate else x

    def step(x: Any, states: Any) -> tuple[Any, Any]:
        output, after = cell(x, states)
        return (output, after) if valid_length is None else ([output, *after], after)

    steps = inputs if axis == 0 else F.swapaxes(inputs, dim1=0, dim2=axis)
    outputs, states = F.contrib.foreach(step, dropped(drop_inputs, steps), begin_state)
    if valid_length is not None:
        outputs, *seen = outputs
        states = [F.SequenceLast(each, valid_length, use_sequence_length=True) for each in seen]
        outputs = F.SequenceMask(outputs, valid_length, use_sequence_length=True)
    outputs = dropped(drop_outputs, outputs)
    return outputs if axis == 0 else F.swapaxes(outputs, dim1=0, dim2=axis), states


explain_calls(globals())
