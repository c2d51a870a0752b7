"""What does an imported graph cost, beside the same network written as layers?

A call and a training step of an MLP, of LeNet and of a residual network on small images, exported by `net.export` and
imported by `nn.SymbolBlock.imports`; then how long the import of the exported ResNet-50 takes, without compilation.
"""

import copy
import tempfile
import time

import jax
import jax.numpy as jnp
from _models import agree, mlp
from _timing import report, time_statements

from gluonjax import Trainer, loss, nn
from gluonjax.model_zoo import vision

ROUNDS = 40
IMPORTS = 5
LAYERS = 'layers'


def lenet() -> nn.Sequential:
    pools = [nn.MaxPool2D(2, 2) for _ in range(2)]
    convolutions = [nn.Conv2D(6, 5, padding=2, activation='relu'), nn.Conv2D(16, 5, activation='relu')]
    dense = [nn.Dense(units, activation='relu') for units in (120, 84)]
    return nn.Sequential(convolutions[0], pools[0], convolutions[1], pools[1], *dense, nn.Dense(10))


NETWORKS = {
    'MLP 20-256-10, batch 2': (lambda: mlp(256, 10), (2, 20)),
    'LeNet, batch 64': (lenet, (64, 1, 28, 28)),
    'ResNet-18 for thumbnails, batch 4': (lambda: vision.resnet18_v1(classes=10, thumbnail=True), (4, 3, 32, 32)),
}


def imported(net: nn.Block, x: jax.Array) -> nn.Block:
    with tempfile.TemporaryDirectory() as folder:
        files = net.export(f'{folder}/net', inputs=x)
        return nn.SymbolBlock.imports(files[0], 'data', files[1])


def compare(title: str, make, shape) -> None:
    x, labels = jax.random.normal(jax.random.key(1), shape), jnp.zeros(shape[0], 'int32')
    net = make()
    net.initialize('xavier', key=0)
    net(x)
    networks = {LAYERS: net, 'imported graph': imported(net, x)}
    agree(*(each(x) for each in networks.values()))
    calls, steps = {}, {}
    for name, each in networks.items():
        trainer = Trainer(copy.deepcopy(each), loss.SoftmaxCELoss(), 'sgd', {'learning_rate': 0.01}, key=0)
        names = {'wait': jax.block_until_ready, 'x': x, 'labels': labels}
        calls[name] = 'wait(run(x))', {**names, 'run': each}
        steps[name] = 'wait(run(x, labels))', {**names, 'run': trainer.step}
    report(f'{title}: a call', time_statements(calls, ROUNDS), base=LAYERS)
    report(f'{title}: a training step', time_statements(steps, ROUNDS), base=LAYERS)


def time_import() -> None:
    net = vision.resnet50_v1(classes=1000)
    x = jax.ShapeDtypeStruct((1, 3, 224, 224), 'float32')
    net.initialize('xavier', key=0)
    net.params = net.definition.init(0, x)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        files = net.export(f'{folder}/net', inputs=x)
        print(f'export of ResNet-50: {time.perf_counter() - start:.2f} s')
        for _ in range(IMPORTS):
            start = time.perf_counter()
            nn.SymbolBlock.imports(files[0], 'data', files[1])
            print(f'import of ResNet-50: {time.perf_counter() - start:.2f} s')


if __name__ == '__main__':
    time_import()
    for title, (make, shape) in NETWORKS.items():
        compare(title, make, shape)
