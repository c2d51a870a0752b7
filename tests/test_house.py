"""How the library is laid out: imports point one way, names stay private, functions are short, start-up is light."""

import ast
import functools
import importlib
import inspect
import io
import itertools
import pathlib
import pkgutil
import runpy
import subprocess
import sys
import tokenize
from collections import defaultdict

import pytest

import gluonjax
from gluonjax import methods
from gluonjax.lazy import LazyMethod

ROOT = pathlib.Path(gluonjax.__file__).parent
# Each may import what stands before it. What shares a line knows nothing of its neighbours.
ORDER = [
    ['errors', 'ref'],
    ['hints', 'lazy'],
    ['allocation', 'compilation'],
    ['arrays', 'autograd', 'checks', 'config', 'host_callbacks', 'keys'],
    ['packages', 'registry', 'shapes', 'tables', 'tree'],
    ['foreign', 'keywords', 'messages', 'methods'],
    ['sampler'],
    ['threefry'],
    ['drawing'],
    ['init'],
    ['param'],
    ['run'],
    ['layer'],
    ['parameter'],
    ['structure'],
    ['block'],
    ['specs'],
    ['cache', 'contents', 'refusals', 'selection', 'transformations'],
    ['arithmetic', 'casting', 'hooks', 'placement', 'snapshot', 'summary', 'ties'],
    ['failures'],
    ['modes'],
    ['nn'],
    ['rnn'],
    ['decoding', 'loss', 'lr_scheduler', 'metric'],
    ['optimizer'],
    ['data', 'io'],
    ['train'],
    ['model_zoo'],
    ['mx'],
    ['__main__'],
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
# Start-up is why these are imported where they are used.
LAZY = {
    ('data.images', 'PIL'),
    ('hints', 'tomllib'),
    ('mx.visualization', 'graphviz'),
    ('io.folders', 'orbax.checkpoint'),
    ('optimizer.transforms', 'optax'),
    ('param', 'jax.extend.core'),
    ('train.callback', 'tensorboardX'),
    ('train.history', 'matplotlib.figure'),
    ('train.progress', 'rich.progress'),
}
CORE = ('nn.dense', 'nn.sequential')  # with all that they reach
READ_FIRST = ('errors', 'init.initializer', 'param', 'run', 'layer', 'parameter', 'structure', 'block', *CORE)
LONGEST_FUNCTION = 40
LARGEST_CORE = 2_000
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix('').parts
    return '.'.join(part for part in parts if part != '__init__')


FILES = {name_of(path): path for path in sorted(ROOT.rglob('*.py'))}


# Each is made when a test asks for it: every worker loads this file, and one runs it.


@functools.cache
def nodes_of(name):
    """All nodes of a module's syntax tree, the module itself first."""
    return [*ast.walk(ast.parse(FILES[name].read_text()))]


def imports(nodes):
    """(module imported, the node) for every import among nodes, those for type checkers among them."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, 'imports are absolute'
            for alias in node.names:
                below = f'{node.module}.{alias.name}'
                yield below if below.removeprefix('gluonjax.') in FILES else node.module, node


def imported(name):
    """The modules of gluonjax that a module imports; a package that re-exports its own modules has none of them."""
    own = f'{name}.' if FILES[name].name == '__init__.py' and name else ''
    modules = {
        module.removeprefix('gluonjax.') for module, _ in imports(nodes_of(name)) if module.startswith('gluonjax.')
    }
    return {module for module in modules & set(FILES) if not (own and module.startswith(own))}


def package(name):
    return name.partition('.')[0]


def test_imports_point_one_way():
    for name in filter(None, FILES):
        for module, node in imports(nodes_of(name)):
            assert module != 'gluonjax', f'{name} imports what gluonjax re-exports in line {node.lineno}'
            other = package(module.removeprefix('gluonjax.'))
            if package(module) == 'gluonjax' and other != package(name):
                assert RANK[other] < RANK[package(name)], f'{name} imports {module} in line {node.lineno}'


def test_no_file_stands_outside_the_order():
    assert {package(name) for name in FILES if name} <= set(RANK)


def test_contributing_draws_every_module():
    drawn = (ROOT.parent / 'CONTRIBUTING.md').read_text().split('```')
    drawing = next(block for block in drawn if 'param → run → layer' in block)
    names = {name.strip('/') for line in drawing.splitlines() for name in line[:37].replace('→', ' ').split()}
    assert names == RANK.keys()


def test_no_imports_run_in_a_circle():
    edges = {name: imported(name) for name in FILES if name}
    finished, circles = set(), []

    def visit(name, way):
        if name in way:
            circles.append([*way[way.index(name) :], name])
        elif name not in finished:
            for other in sorted(edges[name]):
                visit(other, [*way, name])
            finished.add(name)

    for name in edges:
        visit(name, [])
    assert circles == []


def asked_by_name(nodes):
    """The constants that name what is asked of an object, as in `getattr(layer, '_run', None)`."""
    calls = [node for node in nodes if isinstance(node, ast.Call) and len(node.args) > 1]
    asking = [call for call in calls if getattr(call.func, 'id', None) in ('getattr', 'hasattr')]
    return [call.args[1] for call in asking if isinstance(call.args[1], ast.Constant)]


def defined_names(nodes):
    """Names that a module defines: functions, classes, attributes that it sets, fields, slots and keywords."""
    asked = asked_by_name(nodes)
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in asked:
            yield node.value
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg


def is_private(name):
    return name.startswith('_') and not name.startswith('__')


OF_MXNET = {'_init_weight'}  # which classes of MXNet programs have


def private_names_of_others(nodes, elsewhere):
    """(name, the node) for each private name that a module uses of others."""
    asked = asked_by_name(nodes)
    yield from ((node.value, node) for node in asked if node.value in elsewhere - OF_MXNET)
    for node in nodes:
        if isinstance(node, ast.Attribute) and node.attr in elsewhere:
            yield node.attr, node
        elif isinstance(node, ast.ImportFrom) and package(node.module or '') == 'gluonjax':
            yield from ((alias.name, node) for alias in node.names if is_private(alias.name))


def test_private_names_stay_in_their_module():
    defined = {name: set(filter(is_private, defined_names(nodes_of(name)))) for name in FILES}
    everywhere = set().union(*defined.values())
    for name in FILES:
        used = private_names_of_others(nodes_of(name), everywhere - defined[name])
        assert [f'{name}: {private} in line {node.lineno}' for private, node in used] == []


def quoted(annotation):
    """The strings in an annotation that stand for types."""
    if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == 'Literal':
        return []
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return [annotation.value]
    return [text for child in ast.iter_child_nodes(annotation) for text in quoted(child)]


def test_annotations_are_not_in_quotes():
    for name in FILES:
        found = [getattr(node, field, None) for node in nodes_of(name) for field in ('annotation', 'returns')]
        assert [f'{name}: {text}' for annotation in filter(None, found) for text in quoted(annotation)] == []


def lines_of_code(name):
    """The numbers of a module's lines that are neither blank nor a comment nor a docstring."""
    blank = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(FILES[name].read_text()).readline):
        if token.type not in blank:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in nodes_of(name):
        if (
            isinstance(node, (ast.Module, ast.ClassDef, *FUNCTIONS))
            and ast.get_docstring(node, clean=False) is not None
        ):
            docstring = node.body[0]
            lines -= set(range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1))
    return lines


def test_no_function_is_long():
    for name in FILES:
        lines = lines_of_code(name)
        for node in nodes_of(name):
            if isinstance(node, FUNCTIONS):
                body = lines & set(range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1))
                assert len(body) <= LONGEST_FUNCTION, f'{node.name} of {name} has {len(body)} lines'


def test_the_core_is_small():
    reached, ahead = set(), list(CORE)
    while ahead:
        name = ahead.pop()
        if name not in reached and FILES[name].name != '__init__.py':
            reached.add(name)
            ahead += imported(name)
    sizes = {name: len(lines_of_code(name)) for name in reached}
    assert {'sampler', 'init.initializer', 'layer', 'block'} <= set(sizes)
    assert sum(sizes.values()) <= LARGEST_CORE, sizes


# Methods whose code is in a module above, which is loaded when they are first used: (class, method) -> function there.
LAZY_METHODS = {
    ('BindableMethods', 'checkpoint'): 'transformations.checkpoint',
    ('BindableMethods', 'scan'): 'transformations.scan',
    ('BlockMethods', 'cast'): 'casting.cast',
    ('BlockMethods', 'export'): 'mx.export.export',
    ('BlockMethods', 'hybridize'): 'modes.hybridize',
    ('BlockMethods', 'intermediates'): 'hooks.intermediates',
    ('BlockMethods', 'load_parameters'): 'io.parameters.load_parameters',
    ('BlockMethods', 'named_blocks'): 'hooks.named_blocks',
    ('BlockMethods', 'register_forward_hook'): 'hooks.register_forward_hook',
    ('BlockMethods', 'register_forward_pre_hook'): 'hooks.register_forward_pre_hook',
    ('BlockMethods', 'save_parameters'): 'io.parameters.save_parameters',
    ('BlockMethods', 'save_program'): 'io.programs.save_program',
    ('BlockMethods', 'summary'): 'summary.of_network',
    ('BlockMethods', 'tie'): 'ties.tie',
    ('BlockMethods', 'to'): 'placement.to',
    ('BlockMethods', 'visit'): 'hooks.visit',
    ('LayerMethods', 'cast'): 'casting.cast_definition',
    ('LayerMethods', 'init_cache'): 'cache.init_cache',
    ('LayerMethods', 'intermediates'): 'hooks.intermediates_of_layer',
    ('LayerMethods', 'partition'): 'selection.partition',
    ('LayerMethods', 'reinit'): 'selection.reinit',
    ('LayerMethods', 'share_parameters'): 'ties.share_parameters',
    ('LayerMethods', 'specs'): 'specs.specs',
    ('LayerMethods', 'summary'): 'summary.of_layer',
    ('LayerMethods', 'trainable'): 'selection.trainable',
    ('ParameterDictMethods', 'load'): 'io.parameters.load',
    ('ParameterDictMethods', 'save'): 'io.parameters.save',
    ('ParameterMethods', 'cast'): 'casting.cast_parameter',
    ('ParameterMethods', 'set_data'): 'placement.set_data',
}
DECLARED = runpy.run_path(str(ROOT / 'methods.pyi'))
CLASSES = [cls for cls in vars(methods).values() if inspect.isclass(cls) and cls.__module__ == methods.__name__]


def lazy_methods(cls):
    return {name: value for name, value in vars(cls).items() if isinstance(value, LazyMethod)}


def arguments_of(method):
    return [(p.name, p.kind, p.default) for p in list(inspect.signature(method).parameters.values())[1:]]


def test_lazy_methods_are_those_that_are_known_and_are_documented():
    found = {}
    for cls in CLASSES:
        for name, value in lazy_methods(cls).items():
            assert getattr(cls, name).__doc__, name
            if value.module != 'gluonjax.arithmetic':
                found[cls.__name__, name] = f'{value.module}.{value.function}'.removeprefix('gluonjax.')
    assert found == LAZY_METHODS


@pytest.mark.parametrize('cls', CLASSES)
def test_type_checkers_see_the_signatures_of_lazy_methods(cls):
    declared = {name: value for name, value in vars(DECLARED[cls.__name__]).items() if callable(value)}
    declared.pop('__hash__', None)  # for type checkers, which think that `__eq__` takes it away
    assert declared.keys() == lazy_methods(cls).keys()
    for name, method in declared.items():
        assert [a[1:] for a in arguments_of(method)] == [a[1:] for a in arguments_of(getattr(cls, name))], name
        if not name.startswith('__'):
            assert arguments_of(method) == arguments_of(getattr(cls, name)), name


@functools.cache
def called_later():
    """(where, module, function, the call) for every `above.module.function(...)`."""
    found = []
    for name in FILES:
        for node in nodes_of(name):
            if isinstance(node, ast.Call) and (dotted := ast.unparse(node.func)).startswith('above.'):
                found.append((name, *dotted.removeprefix('above.').rsplit('.', 1), node))
    return found


def test_functions_of_modules_above_are_there_and_take_what_they_are_given():
    for name, module, function, call in called_later():
        above, here = package(module), package(name)
        assert RANK[above] > RANK[here] or above in (here, 'messages'), f'{name} needs no above.{module}'
        signature = inspect.signature(getattr(importlib.import_module(f'gluonjax.{module}'), function))
        unpacks = any(isinstance(argument, ast.Starred) for argument in call.args)
        if not unpacks and all(keyword.arg for keyword in call.keywords):
            signature.bind(*call.args, **{keyword.arg: keyword.value for keyword in call.keywords})


def test_every_message_is_used():
    used = {function for _, module, function, _ in called_later() if module == 'messages'}
    for node in itertools.chain.from_iterable(map(nodes_of, FILES)):
        if isinstance(node, ast.ImportFrom) and node.module == 'gluonjax.messages':
            used |= {alias.name for alias in node.names}
    functions = {node.name for node in nodes_of('messages')[0].body if isinstance(node, FUNCTIONS)}
    assert {name for name in functions if not is_private(name)} <= used


def test_what_a_newcomer_reads_first_is_there_and_short():
    for name in READ_FIRST:
        assert len(FILES[name].read_text().splitlines()) < 700, name


def test_no_drawers_for_odds_and_ends():
    assert not [name for name in FILES if {'utils', '_src', 'util', 'helpers', 'misc'} & set(name.split('.'))]


def test_no_import_inside_a_function_but_the_ones_that_keep_start_up_fast():
    found = defaultdict(list)
    for name in FILES:
        for function in nodes_of(name):
            if isinstance(function, (*FUNCTIONS, ast.Lambda)):
                for module, node in imports(ast.walk(function)):
                    found[name, module].append(node.lineno)
    assert set(found) == LAZY


def test_few_modules_import_others_by_their_names():
    by_name = {
        name
        for name in FILES
        for node in nodes_of(name)
        if getattr(node, 'attr', getattr(node, 'id', None)) in {'import_module', '__import__'}
    }
    below_mx = {name for name in by_name if package(name) != 'mx'}
    assert below_mx == {'data.server', 'lazy', 'nn', 'nn.fused_attention', 'packages', 'rnn.fused_lstm'}


def test_errors_are_never_raised_by_assert():
    found = {(name, node.lineno) for name in FILES for node in nodes_of(name) if isinstance(node, ast.Assert)}
    assert found == set()


@pytest.mark.parametrize(
    ('code', 'unused'),
    [
        ('import gluonjax', ['numpy']),
        ('from gluonjax import nn, init, Block; nn.Sequential(nn.Dense(2))', ['gluonjax.train', 'gluonjax.rnn']),
        ('from gluonjax import loss; loss.L2Loss()', ['gluonjax.nn']),
        ('from gluonjax import init, nn, loss, Trainer', ['gluonjax.mx', 'gluonjax.rnn']),
        (
            'import gluonjax.mx; from gluonjax.mx import autograd, gluon, init, nd',
            ['gluonjax.metric', 'gluonjax.optimizer', 'gluonjax.train', 'gluonjax.data', 'gluonjax.mx.export'],
        ),
    ],
)
def test_start_up_is_light(code, unused):
    heavy = ['optax', 'chex', 'matplotlib', 'rich', 'jax.extend', 'flax', 'scipy', 'sklearn', 'tomllib', *unused]
    check = f'import jax, sys; before = set(sys.modules); {code}; print(*(set(sys.modules) - before))'
    run = subprocess.run([sys.executable, '-c', check], capture_output=True, text=True, cwd=ROOT.parent, check=True)
    loaded = run.stdout.split()
    assert 'gluonjax' in loaded
    assert [module for module in loaded if any(f'{module}.'.startswith(f'{name}.') for name in heavy)] == []


def modules():
    found = pkgutil.walk_packages(gluonjax.__path__, 'gluonjax.')
    return [gluonjax, *(importlib.import_module(module.name) for module in found)]


def test_what_is_public_is_documented():
    for module in modules():
        assert module.__doc__, module
        for name, value in vars(module).items():
            if not name.startswith('_') and getattr(value, '__module__', None) == module.__name__ and callable(value):
                assert value.__doc__, f'{module.__name__}.{name}'


PACKAGES = (
    gluonjax,
    gluonjax.data,
    gluonjax.data.vision,
    gluonjax.io,
    gluonjax.loss,
    gluonjax.lr_scheduler,
    gluonjax.metric,
    gluonjax.model_zoo,
    gluonjax.model_zoo.vision,
    gluonjax.nn,
    gluonjax.optimizer,
    gluonjax.rnn,
)


def test_public_methods_are_documented_where_they_first_appear():
    exported = {getattr(package, name) for package in PACKAGES for name in package.__all__ if name[0].isupper()}
    classes = set(filter(inspect.isclass, exported))
    assert len(classes) > 100
    for cls in classes:
        for name, value in vars(cls).items():
            known = any(hasattr(base, name) for base in cls.__mro__[1:])
            if not name.startswith('_') and not known and (callable(value) or isinstance(value, property)):
                assert value.__doc__, f'{cls.__name__}.{name}'


@pytest.mark.parametrize('package', PACKAGES)
def test_all_names_what_is_there(package):
    kinds = sorted(package.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name))  # as ruff sorts
    assert list(package.__all__) in (sorted(package.__all__), kinds)
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert set(package.__all__) <= set(dir(package))
