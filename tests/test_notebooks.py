"""The demo and the notebooks: they run without an error or a warning, and what is stored is what they show.

Notebooks train for a few steps here, as `SHORTENED` says, one after the other in one kernel that forgets all names in
between. Where the variable WHOLE_NOTEBOOKS is set they train whole, each in a kernel of its own, as `make notebooks`
runs them to store what they show.
"""

import asyncio
import base64
import os
import re
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import QUICK

import gluonjax

nbformat = pytest.importorskip('nbformat')
nbclient = pytest.importorskip('nbclient')
jupyter_client = pytest.importorskip('jupyter_client')

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / 'notebooks').glob('*.ipynb'))
WHOLE = bool(os.environ.get('WHOLE_NOTEBOOKS'))
SHORTENED = {
    'fine_tuning': {
        'epochs=15': 'epochs=2',
        'epochs=40': 'epochs=2',
        'range(80)': 'range(2)',
        '(2, 5, 10, 20, 40), range(3)': '(2, 5), range(1)',
    },
    'gan': {'ROUNDS, BATCH, NOISE = 2000': 'ROUNDS, BATCH, NOISE = 60'},
    'initialization': {'length=1000': 'length=20'},
    'language_model': {
        'EPOCHS, STEPS = 64, 16, 8, 40': 'EPOCHS, STEPS = 64, 16, 3, 5',
        'range(11)': 'range(2)',
        '11 * part': 'part',
    },
    'lenet': {'epochs=40': 'epochs=3'},
    'migrating_from_mxnet': {
        'EPOCHS, BATCH = 40': 'EPOCHS, BATCH = 3',
        'ROUNDS, STEPS = 15, 60': 'ROUNDS, STEPS = 2, 5',
    },
    'training': {'EPOCHS, BATCH = 20': 'EPOCHS, BATCH = 3'},
}
# Nobody sees this cell; it makes warnings errors, also those that libraries would keep to themselves.
FRESH = """
%reset -f
import warnings
import gluonjax
gluonjax.seed(0)
warnings.simplefilter('error')
"""
WRITTEN_BY_A_NETWORK = {'writing'}  # what it says depends on how long it has learned
PNG = b'\x89PNG\r\n\x1a\n'
pytestmark = [
    pytest.mark.notebook,
    pytest.mark.skipif(find_spec('sklearn') is None, reason='the notebooks use the digits of sklearn'),
]


@pytest.fixture(scope='module')
def fonts():
    """matplotlib's list of fonts. Where it has none yet, it says so on stderr when it makes it."""
    subprocess.run([sys.executable, '-c', 'import matplotlib.font_manager'], check=True, capture_output=True)


def as_a_user(monkeypatch, directory):
    """The environment of a user in a fresh directory: one device, and this gluonjax wherever it lies."""
    paths = [str(Path(gluonjax.__file__).parents[1]), os.environ.get('PYTHONPATH')]
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join(filter(None, paths)))
    for name in ('IPYTHONDIR', 'JUPYTER_DATA_DIR', 'JUPYTER_CONFIG_DIR'):
        monkeypatch.setenv(name, str(directory / name))
    for name in ('XLA_FLAGS', 'MPLBACKEND', 'PYTHONWARNINGS'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(directory)


@pytest.fixture
def elsewhere(fonts, tmp_path, monkeypatch):
    as_a_user(monkeypatch, tmp_path)
    return tmp_path


@pytest.fixture(scope='module')
def kernel(fonts, tmp_path_factory):
    """The kernel of all shortened notebooks, or None where each has its own.

    Its programs are compiled as those of the other tests: what is shortened compiles longer than it trains.
    """
    with pytest.MonkeyPatch.context() as monkeypatch:
        as_a_user(monkeypatch, tmp_path_factory.mktemp('notebooks'))
        if WHOLE:
            yield None
            return
        monkeypatch.setenv('XLA_FLAGS', ' '.join(f'--{option}={value}' for option, value in QUICK.items()))
        manager = jupyter_client.AsyncKernelManager(kernel_name='python3')
        yield manager
        asyncio.run(manager.shutdown_kernel(now=True))


def code_cells(notebook):
    return {cell.id: cell for cell in notebook.cells if cell.cell_type == 'code'}


def shown(cell):
    """What a reader sees of a cell's output: its lines without numbers and spaces, and the number of pictures.

    That a program is compiled is said on slow machines only.
    """
    texts, pictures = [], 0
    for output in cell.outputs:
        data = output.get('data', {})
        texts.append(output.get('text') or ('' if 'image/png' in data else data.get('text/plain', '')))
        pictures += 'image/png' in data
    lines = ' '.join(texts).splitlines()
    lines = [re.sub(r'[-+]?\d[\d,.]*(e[-+]?\d+)?%?|\s', '', line) for line in lines]
    return [line for line in lines if line and line != 'compiling...'], pictures


def shorten(notebook, table):
    """Replaces numbers of steps; each has to be there."""
    sources = {name: cell.source for name, cell in code_cells(notebook).items()}
    for long, short in table.items():
        assert any(long in source for source in sources.values()), long
        sources = {name: source.replace(long, short) for name, source in sources.items()}
    for name, cell in code_cells(notebook).items():
        cell.source = sources[name]


def assert_shows(fresh, stored, name):
    """The same text and pictures; of a shortened notebook, the same kinds of lines."""
    (text, drawn), (expected, pictures) = shown(fresh), shown(stored)
    assert drawn == pictures, f'cell {name}: run `make notebooks`'
    if WHOLE:
        assert text == expected, f'cell {name}: run `make notebooks`'
    elif name not in WRITTEN_BY_A_NETWORK:
        assert set(text) == set(expected), f'cell {name}: run `make notebooks`'


def pictures(notebook):
    return [
        base64.b64decode(output.data['image/png'])
        for cell in code_cells(notebook).values()
        for output in cell.outputs
        if 'image/png' in output.get('data', {})
    ]


def test_there_are_notebooks():
    names = {path.stem for path in NOTEBOOKS}
    assert names >= {'initialization', 'training', 'lenet', 'language_model', 'fine_tuning', 'gan'}


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_and_shows_what_is_stored(path, kernel):
    stored = nbformat.read(path, as_version=4)
    fresh = nbformat.read(path, as_version=4)
    for cell in code_cells(fresh).values():
        cell.outputs = []
    if not WHOLE:
        shorten(fresh, SHORTENED[path.stem])
    strict = nbformat.v4.new_code_cell(FRESH, id='strict')
    fresh.cells.insert(0, strict)
    client = nbclient.NotebookClient(fresh, kernel, timeout=300, kernel_name='python3', record_timing=False)
    try:
        client.execute()
    finally:
        if kernel is not None and client.kc is not None:
            client.kc.stop_channels()

    for name, cell in code_cells(fresh).items():
        assert not [output for output in cell.outputs if output.get('name') == 'stderr'], f'cell {name} warns'
        if cell is not strict:
            assert_shows(cell, code_cells(stored)[name], name)


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_notebook_is_executed_and_clean(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == 'python3'
    assert notebook.metadata.language_info.name == 'python'
    cells = code_cells(notebook).values()
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        assert 'execution' not in cell.metadata, 'timestamps change with every run'
        assert not [output for output in cell.outputs if output.output_type == 'error']
        assert cell.outputs or not re.search(r'^\s*(print|plt\.show|net\.summary)\(', cell.source, re.MULTILINE)
    drawn = pictures(notebook)
    assert len(drawn) >= 2
    assert all(picture.startswith(PNG) and len(picture) > 1000 for picture in drawn)
    assert path.stat().st_size < 400_000
    text = re.sub(r'"image/png": ".*"', '', path.read_text(encoding='utf-8'))
    assert not re.search(r'\bat 0x[0-9a-f]+|site-packages|/home/|/Users/|/tmp/', text), 'a trace of the machine'
    assert str(ROOT) not in text


def test_demo(elsewhere):
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, '-W', 'error', ROOT / 'notebooks' / 'digits.py'],
        capture_output=True,
        text=True,
        encoding='utf-8',
        env={**os.environ, 'PYTHONIOENCODING': 'utf-8'},
        timeout=300,
    )
    seconds = time.monotonic() - start
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    before, after = re.findall(r'^Parameter 0\.weight .*$', done.stdout, re.MULTILINE)
    assert before == 'Parameter 0.weight (shape=(32, None, 3, 3), dtype=float32)'
    assert after == 'Parameter 0.weight (shape=(32, 1, 3, 3), dtype=float32)'
    [accuracy] = re.findall(r'^test accuracy: ([\d.]+)', done.stdout, re.MULTILINE)
    assert 0.97 <= float(accuracy) <= 1
    made = {path.name: path.read_bytes() for path in (elsewhere / 'build').iterdir()}
    assert sorted(made) == ['digits_learning_curve.png', 'digits_predictions.png']
    assert all(picture.startswith(PNG) and len(picture) > 1000 for picture in made.values())
    assert all(name in done.stdout for name in made)
    assert seconds < 60


def test_make_demo_runs_it():
    command = ['make', '--dry-run', 'demo']
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert 'python notebooks/digits.py' in done.stdout


@pytest.mark.parametrize('missing', ['sklearn', 'rich', 'matplotlib'])
def test_demo_names_the_extra_that_is_missing(elsewhere, missing):
    code = f'import runpy, sys; sys.modules[{missing!r}] = None; runpy.run_path({str(ROOT / "notebooks/digits.py")!r})'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "pip install 'gluonjax[demo]'" in done.stderr
    assert missing in done.stderr
    assert 'Traceback' not in done.stderr
