"""MXNet's answers for recurrent layers and cells, and ours to the same table."""

import functools
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from golden.rnn_cases import CELLS, LAYERS, LENGTHS, STEPS, differentiated
from layer_cases import GOLDEN, definition_of, in_groups

from gluonjax import nn, rnn
from gluonjax.tree import flatten, nest


@functools.cache
def facts() -> dict[str, Any]:
    return json.loads((GOLDEN / 'rnn.json').read_text())


@functools.cache
def arrays() -> dict[str, dict[str, np.ndarray]]:
    """Case -> field -> array, as make_rnn.py describes them."""
    found: dict[str, dict[str, np.ndarray]] = {case.name: {} for case in LAYERS + CELLS}
    with np.load(GOLDEN / 'rnn.npz') as file:
        for name, array in file.items():
            case, field = name.split('/', 1)
            found[case][field] = array
    return found


def build(case, **more):
    cells = [build(child) for child in case.children]
    return definition_of(getattr(rnn, case.layer)(*cells, *case.args, **case.kwargs, **more))


class Whole(nn.Layer):
    """A cell unrolled, as make_rnn.py does it."""

    def __init__(self, cell, layout, merge=True):
        self.cell, self.layout, self.merge = cell, layout, merge

    def forward(self, x, states=None, lengths=None):
        return self.cell.unroll(STEPS, x, states, self.layout, self.merge, lengths)


def ways(case):
    """The layer that goes each way."""
    if case in LAYERS:
        plain, masked = build(case), build(case, use_sequence_length=True)
        found = {'begin': plain, 'states': plain, 'lengths': masked}
    else:
        found = dict.fromkeys(('begin', 'states', 'lengths'), Whole(build(case), case.layout))
        found |= {'step': build(case)} if case.steps else {}
    return found


def answers(case, given) -> dict[str, Any]:
    """What make_rnn.py records; of layers that begin from zeros, the output alone."""
    values = nest({field[6:]: jnp.asarray(v) for field, v in given.items() if field.startswith('param/')})
    states = [given[f's{i}'] for i in range(sum(f'states/s{i}' in given for i in range(9)))]
    cotangents = [given[f'cotangent{suffix}'] for suffix in ('', *(f'_s{i}' for i in range(len(states))))]
    found = {}
    for way, layer in ways(case).items():
        params = {'cell': values} if isinstance(layer, Whole) and values else values

        def run(params, x, states, layer=layer, way=way):
            x = jnp.take(x, 0, case.layout.index('T')) if way == 'step' else x
            more = {'begin': [], 'lengths': [states, jnp.array(LENGTHS)]}.get(way, [states])
            output = layer.apply(params, x, *more)
            return (output, []) if way == 'begin' and case in LAYERS else output

        def total(*point, run=run):
            out, last = run(*point)
            return sum((a * b).sum() for a, b in zip([out, *last], cotangents, strict=True)), (out, last)

        if differentiated(case, way):
            grads, (out, last) = jax.grad(total, (0, 1, 2), has_aux=True)(params, given['x'], states)
            found[f'{way}/grad_x'] = grads[1]
            found |= {f'{way}/grad_s{i}': gradient for i, gradient in enumerate(grads[2])}
            found |= {f'{way}/grad/{name.removeprefix("cell.")}': g for name, g in flatten(grads[0]).items()}
        else:
            out, last = run(params, given['x'], states)
        found |= {f'{way}/out': out} | {f'{way}/s{i}': state for i, state in enumerate(last)}
    return found


@functools.cache
def all_answers():
    cases = {case.name: case for case in LAYERS + CELLS}
    return in_groups(lambda name, given: answers(cases[name], given), arrays(), size=8)
