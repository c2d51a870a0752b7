"""Every block of code in README runs when it is pasted alone, and prints what the comments beside it say."""

import contextlib
import io
import pathlib
import re

import pytest

import gluonjax

README = (pathlib.Path(gluonjax.__file__).parents[1] / 'README.md').read_text()
BLOCKS = re.findall(r'```python\n(.*?)```', README, flags=re.S)


def expected_output(code):
    """What stands in a comment behind a print, and in the lines of comments that follow one."""
    lines, printed = [], False
    for line in code.splitlines():
        if 'print(' in line:
            printed = True
            lines += re.findall(r'  # (.*)', line)
        elif line.startswith('# ') and printed:
            lines.append(line[2:])
    return lines


@pytest.mark.parametrize('code', BLOCKS, ids=lambda code: next(iter(re.findall(r'nn\.\w+', code)), 'code'))
def test_a_block_runs_alone_and_prints_what_it_says(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, 'README.md', 'exec'), {'__name__': '__main__'})
    printed = iter(line.rstrip() for line in out.getvalue().splitlines())
    for line in expected_output(code):
        assert line.rstrip() in printed, f'{line!r} is not printed: {out.getvalue()}'


def test_there_are_blocks_that_say_something():
    assert len(BLOCKS) >= 8
    assert sum(bool(expected_output(code)) for code in BLOCKS) >= 7
