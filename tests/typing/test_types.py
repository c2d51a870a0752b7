"""What a type checker says of a user's programs."""

import json
import os
import pathlib
import re
import subprocess
import sys

from program import right

HERE = pathlib.Path(__file__).parent


def expected():
    lines = (HERE / 'program.py').read_text().splitlines()
    found = ((number, re.search(r'# error: (\w+)$', line)) for number, line in enumerate(lines, 1))
    return {(number, match[1]) for number, match in found if match}


def test_wrong_calls_are_errors_and_right_ones_are_not():
    command = [sys.executable, '-m', 'pyright', '-p', str(HERE), '--pythonpath', sys.executable, '--outputjson']
    run = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, 'PYRIGHT_PYTHON_IGNORE_WARNINGS': '1'}
    )
    found = json.loads(run.stdout)['generalDiagnostics']
    assert {(error['range']['start']['line'] + 1, error['rule']) for error in found} == expected(), run.stdout


def test_the_right_program_runs():
    right()
