"""`python -m gluonjax`: what it prints, and what it says instead of a traceback."""

import json

import numpy as np

import gluonjax
from gluonjax.__main__ import main

ARRAYS = {'arg:fc_weight': np.ones((2, 3), 'float32'), 'aux:count': np.arange(4)}


def printed(capsys, *arguments):
    assert main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out


def test_inspect_lists_the_arrays_of_any_format(tmp_path, capsys):
    for name in ('a.params', 'a.safetensors', 'a.npz'):
        gluonjax.io.save(tmp_path / name, ARRAYS)
        lines = printed(capsys, 'inspect', tmp_path / name).splitlines()
        assert lines[0].split() == ['name', 'shape', 'dtype', 'numbers', 'bytes']
        assert sorted(line.split() for line in lines[2:4]) == [
            ['arg:fc_weight', '(2,', '3)', 'float32', '6', '24'],
            ['aux:count', '(4,)', 'int64', '4', '32'],
        ]
        assert lines[4] == '2 arrays, 10 numbers, 56 bytes'


def test_inspect_counts_the_operators_of_a_graph_and_names_those_that_are_not_known(tmp_path, capsys):
    inner = {'nodes': [{'op': 'null'}, {'op': 'NoSuchOperator'}]}
    nodes = [{'op': 'null'}, {'op': 'Activation'}, {'op': 'Activation', 'subgraphs': [inner]}]
    (tmp_path / 'net-symbol.json').write_text(json.dumps({'nodes': nodes}))
    lines = printed(capsys, 'inspect', tmp_path / 'net-symbol.json').splitlines()
    assert [line.split() for line in lines[2:4]] == [['Activation', '2', 'yes'], ['NoSuchOperator', '1', 'no']]
    assert lines[4] == '3 nodes of 2 operators, 2 variables; not known: NoSuchOperator'


def test_convert_goes_from_one_format_to_another(tmp_path, capsys):
    gluonjax.io.save(tmp_path / 'a.params', ARRAYS)
    for source, target in (('a.params', 'b.safetensors'), ('b.safetensors', 'c.npz'), ('c.npz', 'd.params')):
        text = printed(capsys, 'convert', tmp_path / source, tmp_path / target)
        assert text == f'{tmp_path / source} -> {tmp_path / target}: 2 arrays, 56 bytes\n'
    loaded = gluonjax.io.load(tmp_path / 'd.params')
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(loaded[name], array, strict=True)


def test_progress_is_drawn_in_a_terminal(tmp_path, capsys, monkeypatch):
    gluonjax.io.save(tmp_path / 'a.params', ARRAYS)
    monkeypatch.setattr('sys.stderr.isatty', lambda: True)
    main(['convert', str(tmp_path / 'a.params'), str(tmp_path / 'b.params')])
    assert capsys.readouterr().err == '\r 43% of 56 bytes\r100% of 56 bytes\n'


def test_what_is_wrong_is_said_in_a_message(tmp_path, capsys):
    (tmp_path / 'a.params').write_bytes(b'nothing')
    (tmp_path / 'b.json').write_text('{"nodes": 3}')
    (tmp_path / 'c.json').write_text('{')
    for name, what in (
        ('a.params', "byte 0: no MXNet's list of arrays begins here"),
        ('b.json', 'is no graph'),
        ('c.json', 'is no JSON'),
        ('d.params', 'No such file or directory'),
    ):
        assert main(['inspect', str(tmp_path / name)]) == 1
        out, err = capsys.readouterr()
        assert what in err
        assert out == ''
