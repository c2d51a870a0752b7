"""`python -m gluonjax`: looks into files, converts them, and runs scripts that were written for MXNet.

python -m gluonjax inspect FILE      names, shapes, dtypes and sizes; of a graph its operators, and which are not known
python -m gluonjax convert IN OUT    from one format of parameters to another, by the extension of OUT
python -m gluonjax run SCRIPT ...    a script that imports mxnet, as it is: gluonjax.mx takes the place of MXNet
                                     (run --advice SCRIPT: and which of its lines would gain from the native API)
"""

from __future__ import annotations

import argparse
import collections
import json
import pathlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from gluonjax.errors import FileError, GluonError
from gluonjax.io import formats
from gluonjax.mx.alias import run_script
from gluonjax.mx.op import OPERATORS
from gluonjax.shapes import shape_text
from gluonjax.tables import table

_VARIABLE = 'null'  # what a graph calls a node that is no operator


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; its errors are a message and not a traceback.

    Args:
        arguments: of the command; by default those of the process.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(
        'python -m gluonjax', description='Looks into files, converts them, runs scripts for MXNet.'
    )
    commands = parser.add_subparsers(dest='command', required=True)
    one = commands.add_parser('inspect', help='what is in a file of parameters or in a graph (-symbol.json)')
    one.add_argument('file')
    two = commands.add_parser(
        'convert', help='parameters from one format to another: .params, .safetensors, .npz, .orbax'
    )
    two.add_argument('input')
    two.add_argument('output')
    three = commands.add_parser('run', help='a script that imports mxnet, on gluonjax.mx')
    three.add_argument(
        '--advice', action='store_true', help='print at its end the lines that would gain from the native API'
    )
    three.add_argument('script')
    three.add_argument('arguments', nargs=argparse.REMAINDER)
    given = parser.parse_args(arguments)
    if given.command == 'run':
        return _run(given.script, given.arguments, given.advice)
    try:
        print(inspect(given.file) if given.command == 'inspect' else convert(given.input, given.output))
    except (GluonError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _run(script: str, arguments: Sequence[str], advice: bool) -> int:
    """Runs a script; what it raises keeps its traceback."""
    if not pathlib.Path(script).is_file():
        print(f'there is no script {script}', file=sys.stderr)
        return 1
    run_script(script, arguments, advice)
    return 0


def inspect(path: str) -> str:
    """A table of what is in a file."""
    return _operators(path) if path.endswith('.json') else _parameters(path)


def convert(source: str, target: str) -> str:
    """Writes what is in a file in the format of another, and says how much that was."""
    arrays = formats.load(source)
    total, done = sum(array.nbytes for array in arrays.values()), 0

    def progress(size: int) -> None:
        nonlocal done
        done += size
        if sys.stderr.isatty():
            print(f'\r{done / total:4.0%} of {total:,} bytes', end='\n' if done == total else '', file=sys.stderr)

    formats.save(target, arrays, progress)
    return f'{source} -> {target}: {len(arrays)} arrays, {total:,} bytes'


def _parameters(path: str) -> str:
    arrays = formats.load(path)
    rows = [[name, shape_text(a.shape), a.dtype.name, a.size, a.nbytes] for name, a in arrays.items()]
    foot = f'{len(rows)} arrays, {sum(row[3] for row in rows):,} numbers, {sum(row[4] for row in rows):,} bytes'
    return table(['name', 'shape', 'dtype', 'numbers', 'bytes'], rows, foot)


def _operators(path: str) -> str:
    counts = collections.Counter(_kinds(path, _graph(path)))
    variables = counts.pop(_VARIABLE, 0)
    rows = [[name, count, 'yes' if name in OPERATORS else 'no'] for name, count in counts.most_common()]
    unknown = [name for name in counts if name not in OPERATORS]
    foot = f'{counts.total()} nodes of {len(counts)} operators, {variables} variables'
    return table(['operator', 'nodes', 'known'], rows, f'{foot}; not known: {", ".join(unknown) or "none"}')


def _graph(path: str) -> Any:
    with open(path, 'rb') as file:
        try:
            return json.load(file)
        except (ValueError, RecursionError) as error:
            raise FileError(
                f'{path!r} is no JSON', got=error, remedy='a graph is a file such as net-symbol.json'
            ) from None


def _kinds(path: str, graph: Any) -> Iterator[str]:
    """The operator of each node, those in subgraphs too."""
    try:
        for node in graph['nodes']:
            yield str(node['op'])
            for below in node.get('subgraphs', ()):
                yield from _kinds(path, below)
    except (TypeError, KeyError, AttributeError) as error:
        raise FileError(f'{path!r} is no graph', expected='nodes, each with an operator', got=repr(error)) from None


if __name__ == '__main__':
    sys.exit(main())
