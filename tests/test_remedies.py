"""What errors say to do: each function, method and keyword that a remedy names is there."""

import ast
import inspect
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gluonjax
from gluonjax import data, init, loss, metric, mx, nn, rnn

ROOT = pathlib.Path(gluonjax.__file__).parent


def strings(node):
    """The strings in an expression; what is formatted into them is X."""
    if isinstance(node, ast.JoinedStr):
        yield ''.join(str(part.value) if isinstance(part, ast.Constant) else 'X' for part in node.values)
    elif isinstance(node, ast.Constant):
        yield from [node.value] if isinstance(node.value, str) else []
    else:
        for child in ast.iter_child_nodes(node):
            yield from strings(child)


def remedies():
    """(file, remedy): what is given as `remedy=`, or assigned to such a name."""
    for path in sorted(ROOT.rglob('*.py')):
        for node in ast.walk(ast.parse(path.read_text())):
            named = isinstance(node, ast.Assign) and any('remedy' in ast.unparse(target) for target in node.targets)
            if named or (isinstance(node, ast.keyword) and node.arg == 'remedy'):
                yield from ((str(path.relative_to(ROOT)), text) for text in strings(node.value))


@pytest.fixture(scope='module')
def owners():
    net = nn.Sequential(nn.Dense(3, in_units=2))
    net.initialize(key=0)
    trainer = gluonjax.Trainer(net, loss.L2Loss(), key=0)
    modules = {'nn': nn, 'rnn': rnn, 'init': init, 'data': data, 'jax': jax, 'jnp': jnp, 'np': np, 'numpy': np}
    return modules | {
        'gluonjax': gluonjax, 'optax': optax, 'net': net, 'trainer': trainer, 'layer': nn.Dense(3), 'x': jnp.ones(2),
        'pred': jnp.ones(2), 'value': jnp.ones(2), 'cell': rnn.LSTMCell(3), 'optimizer': optax.sgd(0.1),
        'metric': metric.Accuracy(), 'pure': metric.Accuracy().pure, 'self': nn.Block, 'Trainer': gluonjax.Trainer,
        'Param': gluonjax.Param, 'generate': gluonjax.generate, 'make_step': gluonjax.make_step,
    }  # fmt: skip


NAME = re.compile(r'(?<![\w.\'])([A-Za-z_]\w*)((?:\.[A-Za-z_]\w*)*)(\(([^()]*)\))?')
DECLARED_BY_USERS = ('weight', 'layers', 'dense', 'X')  # what stands behind self


IN_MX = {'x': mx.nd.ones(2), 'Trainer': mx.gluon.Trainer}  # what a name means there


def missing_in(text, owners):
    """What a remedy names of these owners, and is not there."""
    for owner, path, call, arguments in NAME.findall(text):
        if owner not in owners or (owner == 'self' and path.partition('.')[2].partition('.')[0] in DECLARED_BY_USERS):
            continue
        found = owners[owner]
        for name in path.split('.')[1:]:
            if name == 'X':
                break
            if not hasattr(found, name):
                yield f'{owner}{path}'
                break
            found = getattr(found, name)
        else:
            if call and callable(found):
                yield from (f'{owner}{path}(... {keyword}=)' for keyword in unknown_keywords(found, arguments))


def unknown_keywords(function, arguments):
    try:
        parameters = inspect.signature(function).parameters
    except ValueError:  # of C
        return []
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return []
    return [name for name in re.findall(r'\b(\w+)=(?!=)', arguments) if name not in parameters]


def test_what_a_remedy_names_is_there(owners):
    found_remedies = sorted(set(remedies()))
    assert len(found_remedies) > 150
    lacking = {}
    for path, text in found_remedies:
        known = owners | IN_MX if path.startswith('mx/') else owners
        if found := list(missing_in(text, known)):
            lacking[f'{path}: {text}'] = found
    assert lacking == {}


@pytest.mark.parametrize('text', ['net.no_such()', 'Trainer(..., no_such=3)', 'jax.no.such', 'x.no_such'])
def test_what_is_not_there_is_found(text, owners):
    assert list(missing_in(f'call {text}, then go on', owners))
    assert not list(missing_in("net.cast(dtype), Trainer(..., accumulate=2) and x.astype('float32')", owners))
