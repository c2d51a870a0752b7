"""A training run that goes on from its newest checkpoint: `python resumed_training.py FOLDER STEPS`.

It saves after every second step. `test_checkpoint.py` kills it, and knows what it should have come to.
"""

import pathlib
import sys

import jax
import numpy as np

from gluonjax import Trainer, init, loss, lr_scheduler, metric, nn, optimizer
from gluonjax.io import checkpoint


def make_trainer(key=0, **options):
    """With a bit of everything that has a state; nothing is drawn yet, and shapes are unknown."""
    net = nn.Sequential(nn.Dense(5, activation='tanh'), nn.BatchNorm(), nn.Dropout(0.3), nn.Dense(3))
    net.initialize(init.Xavier(), key=key)
    schedule = lr_scheduler.FactorScheduler(step=2, factor=0.9, base_lr=0.05)
    options = {
        'accumulate': 2,
        'average': 0.9,
        'precision': 'float16',
        'clip_global_norm': 1.0,
        'last_batch': 'pad',
        **options,
    }
    return Trainer(
        net,
        loss.SoftmaxCELoss(),
        optimizer.Adam(lr_scheduler=schedule),
        key=key,
        metrics=[metric.Accuracy()],
        **options,
    )


def batch_of(step):
    """Every third batch is a smaller one."""
    random, rows = np.random.RandomState(step), 5 if step % 3 == 2 else 8
    return random.standard_normal((rows, 4)).astype('float32'), random.randint(0, 3, rows)


def train(trainer, steps):
    """Trains until so many steps are done, and returns the losses."""
    losses = []
    while trainer.steps < steps:
        losses.append(np.asarray(trainer.step(*batch_of(trainer.steps))))
    return losses


def numbers_of(trainer):
    """Every number that steps change, by name."""
    leaves = checkpoint.leaves_by_name(trainer.state)
    is_key = {name: jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key) for name, leaf in leaves.items()}
    return {name: np.asarray(jax.random.key_data(leaf) if is_key[name] else leaf) for name, leaf in leaves.items()}


def main(folder, steps):
    trainer = make_trainer()
    if pathlib.Path(folder).is_dir():
        trainer.restore(folder)
    while trainer.steps < steps:
        train(trainer, min(trainer.steps + 2, steps))
        trainer.save(folder)
        print(trainer.steps, flush=True)


if __name__ == '__main__':
    main(sys.argv[1], int(sys.argv[2]))
