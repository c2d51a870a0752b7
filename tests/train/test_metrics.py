"""Metrics in a Trainer: of networks with several outputs, of composites, and in a history that JSON holds."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gluonjax import Block, Trainer, errors, metric, nn

X = np.random.RandomState(0).randn(6, 4).astype('float32')
KIND = np.array([0, 1, 2, 0, 1, 2])
BOX = np.random.RandomState(1).randn(6, 2).astype('float32')


class Detector(Block):
    """Returns a dict, or a tuple."""

    def __init__(self, as_dict):
        self.kind, self.box, self.as_dict = nn.Dense(3), nn.Dense(2), as_dict

    def forward(self, x):
        outputs = {'kind': self.kind(x), 'box': self.box(x)}
        return outputs if self.as_dict else tuple(outputs.values())


def loss(outputs, labels):
    kind, box = (outputs['kind'], outputs['box']) if isinstance(outputs, dict) else outputs
    k, b = (labels['kind'], labels['box']) if isinstance(labels, dict) else labels
    return jnp.square(box - b).mean(1) - jnp.take_along_axis(jax.nn.log_softmax(kind), k[:, None], 1)[:, 0]


def in_numpy(net):
    x = X.astype('float64')
    kind, box = (x @ np.asarray(layer.weight).T + np.asarray(layer.bias) for layer in (net.kind, net.box))
    shifted = kind - kind.max(1, keepdims=True)
    surprise = np.log(np.exp(shifted).sum(1)) - shifted[np.arange(6), KIND]
    return {
        'accuracy': (kind.argmax(1) == KIND).mean(),
        'perplexity': np.exp(surprise.mean()),
        'mae': abs(box - BOX).mean(),
    }


@pytest.mark.parametrize('as_dict', [True, False])
def test_several_outputs_by_name(as_dict):
    net = Detector(as_dict)
    net.initialize('xavier', key=0)
    kind, box = ('kind', 'box') if as_dict else (0, 1)
    by_kind, by_box = ({'label_names': [name], 'output_names': [name]} for name in (kind, box))
    metrics = [
        metric.CompositeEvalMetric([metric.Accuracy(), metric.Perplexity(from_logits=True)], **by_kind),
        metric.MAE(average='micro', **by_box),
    ]
    trainer = Trainer(net, loss, 'sgd', {'learning_rate': 0.0}, metrics=metrics, key=0, last_batch='pad')
    labels = {'kind': KIND, 'box': BOX} if as_dict else (KIND, BOX)
    batches = [jax.tree.map(lambda a, rows=rows: a[rows], (X, labels)) for rows in (slice(4), slice(4, 6))]
    history = trainer.fit(batches, validation=batches, progress=False)
    expected = in_numpy(net)
    (record,) = history.records
    for name, value in expected.items():
        np.testing.assert_allclose(record[name], value, rtol=1e-5, err_msg=name)
        np.testing.assert_allclose(record[f'val_{name}'], value, rtol=1e-5, err_msg=name)
    assert 'composite' not in record
    assert metrics[0].get() == (['accuracy', 'perplexity'], [record['accuracy'], record['perplexity']])
    saved = history.to_dict()
    assert json.loads(json.dumps(saved)) == saved
    assert {type(value) for value in record.values()} == {int, float}


def test_metrics_of_one_name_are_refused():
    net = nn.Sequential(nn.Dense(1))
    for metrics in (['acc', metric.create(['mae', 'acc'])], [metric.MAE(), metric.MAE()]):
        with pytest.raises(errors.ArgumentError, match=r"(?s)two metrics are called '(accuracy|mae)'.*name="):
            Trainer(net, loss, metrics=metrics)
    with pytest.raises(errors.ArgumentError, match="'loss' is the loss of the training"):
        Trainer(net, loss, metrics=[metric.Loss()])
