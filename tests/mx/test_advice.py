"""Advice on scripts: which lines would gain from the native API, and what is written instead."""

import sys

import pytest

from gluonjax.__main__ import main
from gluonjax.mx import array, tape
from gluonjax.mx.advice import advise

SCRIPT = """\
import mxnet as mx
from mxnet import autograd, gluon, nd
net = gluon.nn.HybridSequential()
net.add(gluon.nn.Dense(1))
net.initialize(ctx=mx.cpu())
criterion = gluon.loss.L2Loss()
trainer = gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 0.1})
score = mx.metric.MSE()
for i in range(2):
    batch = nd.array([[1, i]])
    with autograd.record():
        out = net(batch)
        loss = criterion(out, batch[:, :1])
    loss.backward()
    trainer.step(1)
    score.update([batch[:, :1]], [out])
    total = loss.asscalar()
    if i > 5:
        total = loss.asnumpy()
x = nd.ones(2)
for _ in range(100):
    x = x + 1
print(x.asnumpy())
"""
EXPECTED = {
    (5, 'contexts'),
    (5, 'operation by operation'),
    (7, "Trainer(net, criterion, optimizer='sgd', optimizer_params={'learning_rate': 0.1})"),
    (10, 'one by one'),
    (11, 'trainer.step(batch, batch[:, :1])'),
    (16, 'metrics='),
    (17, '(2 times)'),
    (22, '100 operations'),
}


@pytest.fixture
def script(tmp_path):
    path = tmp_path / 'train.py'
    path.write_text(SCRIPT)
    before = dict(sys.modules), list(sys.meta_path)
    yield path
    for name in [name for name in sys.modules if name.partition('.')[0] == 'mxnet']:
        del sys.modules[name]
    sys.meta_path[:] = before[1]


def test_a_script_is_told_at_its_end_what_would_gain(script, capsys):
    untouched = tape.call, array.NDArray.asnumpy, array.NDArray.wait_to_read
    assert main(['run', '--advice', str(script)]) == 0
    assert (tape.call, array.NDArray.asnumpy, array.NDArray.wait_to_read) == untouched
    out, _, advice = capsys.readouterr().out.partition('\n\n')
    assert out == '[101. 101.]'
    heading, *parts = advice.split('\n\n')
    assert heading.startswith(f'{script}: what would gain')
    assert len(parts) == len(EXPECTED), advice
    for line, text in EXPECTED:
        code = SCRIPT.splitlines()[line - 1].strip()
        assert any(part.split(maxsplit=1)[1].startswith(code) and text in part for part in parts), (line, text)


def test_without_advice_nothing_is_said(script, capsys):
    assert main(['run', str(script)]) == 0
    assert capsys.readouterr().out == '[101. 101.]\n'


@pytest.mark.parametrize(
    ('source', 'line', 'text'),
    [
        ('for x in data:\n    trainer.set_learning_rate(0.1)', 2, 'CosineScheduler'),
        ("mx.nd.save('a', x)", 1, 'io.save'),
        ('while True:\n    print(y.asscalar())', 2, 'after the loop'),
        ('parts = gluon.utils.split_and_load(x, devices)', 1, 'mesh='),
    ],
)
def test_what_a_script_says_alone(source, line, text):
    [advice] = advise(source)
    assert advice.line == line
    assert text in advice.instead


def test_nothing_is_said_where_there_is_nothing_to_say():
    assert advise('net.initialize()\nprint(net(x).asnumpy())') == []
