"""The house: imports point one way, start-up is light, and what is public is documented."""

import ast
import importlib
import inspect
import pathlib
import pkgutil
import subprocess
import sys

import pytest

import gluonjax

ROOT = pathlib.Path(gluonjax.__file__).parent
# Each may import what stands before it. What shares a line knows nothing of its neighbours.
ORDER = [
    ['errors'],
    ['autograd', 'describe'],
    ['draw', 'frozen'],
    ['init'],
    ['tree'],
    ['binding'],
    ['layer'],
    ['parameter'],
    ['picture', 'ties'],
    ['block'],
    ['nn.checks'],
    ['nn.activation', 'nn.kernels'],
    ['nn.activation_layers'],
    [
        f'nn.{family}'
        for family in ('conv', 'dense', 'dropout', 'embedding', 'norm', 'pool', 'position', 'repeat', 'reshape')
    ],
    ['nn.attention', 'nn.sequential'],
    ['nn.containers'],
    ['nn'],
    ['rnn.steps'],
    ['rnn.cells'],
    ['rnn.conv_cells', 'rnn.layers', 'rnn.modifiers'],
    ['loss', 'lr_scheduler', 'metric.sums', 'optimizer.pieces', 'optimizer.state'],
    ['metric.definition', 'optimizer.base'],
    ['metric.eval_metric', 'optimizer.adaptive', 'optimizer.descent'],
    ['metric.classification', 'metric.composite', 'metric.likelihood', 'metric.regression'],
    ['rnn', 'metric', 'optimizer'],
    ['feed', 'sharding'],
    ['history', 'step'],
    ['io', 'program'],
    ['callback'],
    ['fit'],
    ['trainer'],
    ['model_zoo'],
    [''],
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
# Start-up is why these are imported where they are used.
LAZY = {
    ('callback', 'rich.progress'),
    ('callback', 'tensorboardX'),
    ('history', 'matplotlib.figure'),
    ('binding', 'jax.extend.core'),
    ('io.checkpoint', 'orbax.checkpoint'),
    ('loss', 'optax'),
}


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix('').parts
    return '.'.join(part for part in parts if part != '__init__')


FILES = {name_of(path): path for path in sorted(ROOT.rglob('*.py'))}


def imports(tree):
    """(module imported, the node) for every import that a piece of code executes."""
    nodes = set(ast.walk(tree))
    for node in set(nodes):
        if isinstance(node, ast.If) and ast.unparse(node.test) == 'TYPE_CHECKING':
            nodes -= set(ast.walk(node))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, 'imports are absolute'
            for alias in node.names:
                below = f'{node.module}.{alias.name}'
                yield below if below.removeprefix('gluonjax.') in FILES else node.module, node


def rank(name):
    """The rank of a module, or of the package that it belongs to."""
    return RANK[name] if name in RANK else RANK[name.partition('.')[0]]


@pytest.mark.parametrize('name', [name for name in FILES if name])
def test_imports_point_one_way(name):
    for module, node in imports(ast.parse(FILES[name].read_text())):
        if module.partition('.')[0] == 'gluonjax' and module != 'gluonjax':
            other = module.removeprefix('gluonjax.')
            assert rank(other) < rank(name) or (
                other.partition('.')[0] == name.partition('.')[0] and other not in RANK
            ), f'{name} imports {other} in line {node.lineno}'


def test_no_file_stands_outside_the_order():
    assert [
        name for name in FILES if name not in RANK and name.partition('.')[0] not in ('rnn', 'io', 'model_zoo')
    ] == []


def test_no_drawers_for_odds_and_ends():
    assert not [name for name in FILES if {'utils', '_src', 'util', 'helpers', 'misc'} & set(name.split('.'))]


@pytest.mark.parametrize('name', FILES)
def test_no_import_inside_a_function_but_the_ones_that_keep_start_up_fast(name):
    tree = ast.parse(FILES[name].read_text())
    functions = [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    ]
    inside = {(name, module) for function in functions for module, _ in imports(function)}
    assert inside <= LAZY


@pytest.mark.parametrize('name', FILES)
def test_errors_are_never_raised_by_assert(name):
    lines = [node.lineno for node in ast.walk(ast.parse(FILES[name].read_text())) if isinstance(node, ast.Assert)]
    assert lines == []


@pytest.mark.parametrize(
    'code',
    [
        'import gluonjax',
        'from gluonjax import nn, init, Block; nn.Sequential(nn.Dense(2))',
        'from gluonjax import loss; loss.L2Loss()',
    ],
)
def test_start_up_is_light(code):
    heavy = ['optax', 'chex', 'matplotlib', 'rich', 'jax.extend', 'flax', 'scipy', 'sklearn']
    check = f'import jax, sys; before = set(sys.modules); {code}; print(*(set(sys.modules) - before))'
    run = subprocess.run([sys.executable, '-c', check], capture_output=True, text=True, cwd=ROOT.parent, check=True)
    loaded = run.stdout.split()
    assert 'gluonjax' in loaded
    assert [module for module in loaded if any(f'{module}.'.startswith(f'{name}.') for name in heavy)] == []


def test_six_files_can_be_read_in_one_sitting():
    for name in ('errors', 'init', 'layer', 'block', 'nn.dense', 'nn.sequential'):
        assert name in FILES
        assert len(FILES[name].read_text().splitlines()) < 900


def modules():
    found = pkgutil.walk_packages(gluonjax.__path__, 'gluonjax.')
    return [gluonjax, *(importlib.import_module(module.name) for module in found)]


@pytest.mark.parametrize('module', modules(), ids=lambda module: module.__name__)
def test_what_is_public_is_documented(module):
    assert module.__doc__
    for name, value in vars(module).items():
        if not name.startswith('_') and getattr(value, '__module__', None) == module.__name__ and callable(value):
            assert value.__doc__, name


PACKAGES = (
    gluonjax,
    gluonjax.loss,
    gluonjax.lr_scheduler,
    gluonjax.metric,
    gluonjax.nn,
    gluonjax.optimizer,
    gluonjax.rnn,
)
EXPORTED = {
    value for package in PACKAGES for name in package.__all__ if inspect.isclass(value := getattr(package, name))
}


@pytest.mark.parametrize('exported', sorted(EXPORTED, key=lambda cls: cls.__name__))
def test_public_methods_are_documented_where_they_first_appear(exported):
    for name, value in vars(exported).items():
        known = any(hasattr(base, name) for base in exported.__mro__[1:])
        if not name.startswith('_') and not known and (callable(value) or isinstance(value, property)):
            assert value.__doc__, name


@pytest.mark.parametrize('package', PACKAGES)
def test_all_names_what_is_there(package):
    kinds = sorted(package.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name))  # as ruff sorts
    assert list(package.__all__) in (sorted(package.__all__), kinds)
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert set(package.__all__) <= set(dir(package))
