"""Each operator against MXNet's own numbers, over the table of cases: outputs, gradients and auxiliary states."""

import importlib
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gluonjax.mx.op import Pass, find

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden'
TABLES = [f'operator_cases{part}' for part in ('', '_contrib', '_numpy', '_update', '_vision')]


def families():
    """Family -> its cases, and the golden file that has the answers."""
    sys.path.insert(0, str(GOLDEN))
    try:
        return {
            family: (cases, table.replace('operator_cases', 'operators') + '.npz')
            for table in TABLES
            for family, cases in importlib.import_module(table).FAMILIES.items()
        }
    finally:
        sys.path.remove(str(GOLDEN))


FAMILIES = families()


def cotangent(shape, number, dtype):
    return jnp.cos(jnp.arange(int(np.prod(shape)), dtype='float32') + number).reshape(shape).astype(dtype)


def answers(case, inputs):
    """What the golden file has of a case: a dict of arrays."""
    operator = find(case.operator)
    attributes = operator.parse(case.attributes)
    names = operator.inputs_for(attributes, len(inputs))
    wanted = [i for i, x in enumerate(inputs) if x.dtype.kind == 'f' and (case.grad is None or i < case.grad)]

    def run(*chosen):
        arrays = list(inputs)
        for i, x in zip(wanted, chosen, strict=True):
            arrays[i] = x
        outputs, updates = operator.run(arrays, attributes, Pass(case.training, lambda: jax.random.key(0)))
        visible = operator.visible_for(attributes)
        return outputs[:visible], (updates, outputs[visible:])

    outputs, pull, (updates, states) = jax.vjp(run, *[inputs[i] for i in wanted], has_aux=True)
    found = {f'out{i}': y for i, y in enumerate(outputs)}
    if wanted:
        gradients = pull([cotangent(y.shape, i, y.dtype) for i, y in enumerate(outputs)])
        found.update({f'grad{i}': y for i, y in zip(wanted, gradients, strict=True)})
    for name, value in zip(operator.auxiliary, updates, strict=True):
        found[f'aux{names.index(name)}'] = value
    if operator.variadic:  # new states are outputs behind those that are visible
        found.update({f'aux+{i}': y for i, y in enumerate(states)})
    return found


def in_order(expected, variadic):
    """The answers, with the auxiliary states of variadic operators by their order among each other."""
    states = (
        sorted((key for key in expected if key.startswith('aux')), key=lambda key: int(key[3:])) if variadic else []
    )
    return {f'aux+{states.index(key)}' if key in states else key: value for key, value in expected.items()}


def differences(expected, found):
    """What differs of one case, as text; None if nothing does."""
    for what, array in expected.items():
        ours = np.asarray(found.get(what))
        if ours.shape != array.shape:
            return f'{what}: shape {ours.shape}, MXNet has {array.shape}'
        if ours.dtype.kind != array.dtype.kind:
            return f'{what}: dtype {ours.dtype}, MXNet has {array.dtype}'
        if not np.allclose(ours.astype(float), array.astype(float), 2e-5, 2e-5, equal_nan=True):
            return f'{what}: {ours.tolist()}, MXNet has {array.tolist()}'
    return None


@pytest.mark.parametrize('family', sorted(FAMILIES))
def test_numbers_are_mxnets(family):
    cases, file = FAMILIES[family]
    golden = dict(np.load(GOLDEN / file))
    inputs = [case.inputs(index) for index, case in enumerate(cases)]
    found = jax.jit(lambda inputs: [answers(case, x) for case, x in zip(cases, inputs, strict=True)])(inputs)
    wrong = {}
    for index, case in enumerate(cases):
        label = f'{family} {index} {case.operator}'
        expected = {key.rpartition(' ')[2]: golden[key] for key in golden if key.startswith(f'{label} ')}
        assert expected, label
        expected = in_order(expected, find(case.operator).variadic)
        found[index] = {k: v for k, v in found[index].items() if not k.startswith('aux') or k in expected}
        if found[index].keys() != expected.keys():
            wrong[label] = f'{sorted(found[index])}, MXNet has {sorted(expected)}'
        elif text := differences(expected, found[index]):
            wrong[label] = text
    assert wrong == {}
