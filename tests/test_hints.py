"""Names that people bring from other libraries: the error says what to write here, and what it says works."""

import importlib
import os
import re

import jax
import jax.numpy as jnp
import numpy
import optax
import pytest

import gluonjax
from gluonjax import Param, errors, mx, nn, rnn
from gluonjax.hints import hints
from gluonjax.loss import SoftmaxCrossEntropyLoss

HINTS = hints()
PROSE = (', or ', ' in __init__', ', a network', 'device_put(net.params, device)')


def setting():
    net = nn.Sequential(nn.Dense(4, 'relu'), nn.Dense(3))
    net.initialize(key=0)
    x, y = jnp.ones((2, 5)), jnp.array([0, 1])
    net(x)
    loss = SoftmaxCrossEntropyLoss()
    return {
        'net': net,
        'trainer': gluonjax.Trainer(net, loss, 'adam', key=0),
        'x': x,
        'y': y,
        'loss': loss,
        'params': net.params,
        'layer': nn.Dense(2),
        'jax': jax,
        'numpy': numpy,
        'gluonjax': gluonjax,
        'nn': nn,
        'rnn': rnn,
        'optax': optax,
        'Param': Param,
    }


ALL = [(kind, name, code) for kind, names in HINTS.items() if kind != 'an argument' for name, code in names.items()]
CODE = sorted({code for kind, _, code in ALL if not any(part in code for part in PROSE) and 'gluonjax.mx' not in kind})


@pytest.mark.filterwarnings('ignore:all parameters have values')
@pytest.mark.parametrize('code', CODE)
def test_what_a_hint_says_runs(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = setting()
    if 'trainer.save' in code:
        names['trainer'].step(names['x'], names['y'])
    if code.endswith(".save('folder')") and 'Trainer' in code:
        names['gluonjax'] = _Stepped(names)
    exec(code, names)
    assert os.path.isdir(tmp_path)


def test_what_hints_of_mx_name_is_there():
    text = ' '.join(code for kind, _, code in ALL if kind.startswith('gluonjax.mx'))
    names = set(re.findall(r'\b(?:mx|nd|gluon|gluonjax)\.[A-Za-z_.]*[A-Za-z]\d*', text))
    assert len(names) > 12
    for name in names:
        found = {'mx': mx, 'nd': mx.nd, 'gluon': mx.gluon, 'gluonjax': gluonjax}[name.partition('.')[0]]
        for part in name.split('.')[1:]:
            found = getattr(found, part)


class _Stepped:
    """gluonjax whose Trainers have done a step: there is nothing to save before."""

    def __init__(self, names):
        self.names = names

    def Trainer(self, *args):
        trainer = gluonjax.Trainer(*args, key=0)
        trainer.step(self.names['x'], self.names['y'])
        return trainer


def owner(kind):
    names = setting()
    parameter = names['net'][0].weight
    owners = {
        'a network': names['net'],
        'a Parameter': parameter,
        'a Trainer': names['trainer'],
        'gluonjax.nn': nn,
        'gluonjax': gluonjax,
        'gluonjax.callback': gluonjax.callback,
    }
    return owners[kind] if kind in owners else importlib.import_module(kind)


@pytest.mark.parametrize('kind', [kind for kind in HINTS if kind != 'an argument'])
def test_every_name_says_it(kind):
    asked = owner(kind)
    for name, code in HINTS[kind].items():
        with pytest.raises(errors.MissingNameError) as caught:
            getattr(asked, name)
        assert name in str(caught.value)
        assert code in str(caught.value)
        assert not hasattr(asked, name)


def test_a_near_name_is_named():
    with pytest.raises(AttributeError, match=r'(?s)Dens.*try: .*Dense'):
        nn.Dens  # noqa: B018
    with pytest.raises(AttributeError, match=r'(?s)colect_params.*try: collect_params'):
        owner('a network').colect_params()
    with pytest.raises(AttributeError, match=r'(?s)traner.*'):
        gluonjax.traner  # noqa: B018
