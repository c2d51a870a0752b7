"""One of several processes that train together; test_sharding.py starts two of them and reads what they print.

python two_processes.py PORT NUMBER COUNT
"""

import json
import sys
from typing import Any

import jax
import numpy as np
from jax.sharding import PartitionSpec as P

from gluonjax import Trainer, init, loss, metric, nn


def train(number: int = 0, count: int = 1) -> dict[str, Any]:
    """What was computed; each process takes its part of every batch."""

    def part(rows, seed):
        random = np.random.RandomState(seed)
        x, y = random.standard_normal((rows, 12)).astype('float32'), random.randint(0, 4, rows)
        mine = slice(number * rows // count, (number + 1) * rows // count)
        return x[mine], y[mine]

    net = nn.Sequential(nn.Dense(8, activation='relu'), nn.BatchNorm(), nn.Dense(4))
    net.initialize(init.Xavier(), key=0)
    trainer = Trainer(
        net,
        loss.SoftmaxCELoss(),
        'adam',
        {'learning_rate': 0.05},
        key=1,
        metrics=[metric.Accuracy()],
        mesh=jax.make_mesh((4, 2), ('data', 'model')),
        sharding={'.*weight': P('model', None)},
    )
    losses = [float(trainer.step(*part(16, seed))) for seed in range(2)]
    trainer.set_learning_rate(0.01)
    losses += [float(trainer.step(*part(rows, rows))) for rows in (16, 8)]  # the last is filled up
    weight = net[0].weight.data()
    return {
        'losses': losses,
        'metrics': trainer.metrics,
        'evaluated': trainer.evaluate([part(24, 9)]),
        'predicted': trainer.predict(part(24, 9)[0], batch_size=8).tolist(),
        'shape': list(weight.shape),
        'part': list(weight.addressable_shards[0].data.shape),
    }


def main(port: int, number: int, count: int) -> None:
    jax.config.update('jax_cpu_collectives_implementation', 'gloo')
    jax.distributed.initialize(f'localhost:{port}', count, number, initialization_timeout=60)
    print(json.dumps(train(number, count)))


if __name__ == '__main__':
    main(*map(int, sys.argv[1:]))
