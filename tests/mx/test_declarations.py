"""Names, inputs, attributes and defaults of the operators are those that MXNet declares."""

import json
import pathlib

import pytest

from gluonjax.errors import ArgumentError
from gluonjax.mx.op import OPERATORS
from gluonjax.mx.op.missing import why_missing

DECLARED = json.loads((pathlib.Path(__file__).parents[1] / 'golden' / 'operators.json').read_text())
# One entry for two operators of MXNet's that differ only in what the older one lacks.
OLDER = {'BatchNorm_v1', 'Pooling_v1', 'Convolution_v1', '_contrib_SparseEmbedding'}
NAMES = sorted(OPERATORS.keys() & DECLARED.keys() - OLDER - {'Custom'})  # whose inputs are what its class says


def differences(name):
    entry, declared = OPERATORS[name], DECLARED[name]
    if OPERATORS.get(declared['name'], entry) is not entry:
        yield f'is not {declared["name"]}'
    without_states = [x for x in entry.inputs if x not in entry.auxiliary]  # as MXNet's old operators declare them
    if not entry.variadic and declared['inputs'] not in ([], list(entry.inputs), without_states):
        yield f'inputs {list(entry.inputs)}, MXNet has {declared["inputs"]}'
    for attribute, kind in declared['attributes'].items():
        if attribute not in entry.annotations:
            yield f'lacks {attribute}: {kind}'
        elif 'default=' in kind:
            yield from wrong_default(entry, attribute, kind.partition('default=')[2].strip("'"))


def wrong_default(entry, attribute, text):
    if attribute not in entry.defaults:
        yield f'{attribute} has the default {text}'
        return
    ours = entry.defaults[attribute]
    if text == 'None' and ours in (None, 'None', ()):
        return
    try:
        theirs = entry.parse({attribute: text, **missing(entry, attribute)})[attribute]
    except ArgumentError as error:
        yield str(error)
        return
    if theirs != pytest.approx(ours, rel=1e-6) if isinstance(ours, float | tuple) else theirs != ours:
        yield f'{attribute}: {ours}, MXNet has {text}'


def missing(entry, attribute):
    """Values for the attributes that have no default."""
    required = [name for name in entry.annotations if name not in entry.defaults and name != attribute]
    return {name: example(entry.annotations[name]) for name in required}


def example(annotation):
    return getattr(annotation, '__args__', ['1'])[0] if 'Literal' in str(annotation) else '1'


def test_declarations_are_mxnets():
    found = {name: list(differences(name)) for name in NAMES}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_most_operators_are_there():
    assert len(NAMES) > 600


def test_what_is_not_in_the_table_is_explained():
    unexplained = [name for name in DECLARED if name not in OPERATORS and why_missing(name) is None]
    assert unexplained == []
