"""Trains a small convolutional network on handwritten digits, and draws how it went.

Takes no arguments. Pictures go to build/ of the directory it is run from.
"""

import sys
from functools import partial
from pathlib import Path

import jax
import numpy as np
import optax

import gluonjax
from gluonjax import init, nn

try:
    import matplotlib
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
except ImportError as error:
    sys.exit(f"The demo needs {error.name}, which is not installed: pip install 'gluonjax[demo]'")

matplotlib.use('agg')  # draws into files; needs no screen
import matplotlib.pyplot as plt

EPOCHS, BATCH = 20, 64
BLUE, ORANGE = '#2a6fbb', '#d95f02'


def load():
    """Images as (count, 1, 8, 8) between 0 and 1, and labels; every fifth digit is kept for the test."""
    digits = load_digits()
    images = (digits.images[:, None] / 16).astype('float32')
    return train_test_split(images, digits.target, test_size=0.2, stratify=digits.target, random_state=0)


def build():
    """No layer is told the size of its input."""
    net = nn.Sequential()
    net.add(
        nn.Conv2D(32, kernel_size=3, padding=1, use_bias=False),
        nn.BatchNorm(),
        nn.Activation('relu'),
        nn.Conv2D(64, kernel_size=3, padding=1, use_bias=False),
        nn.BatchNorm(),
        nn.Activation('relu'),
        nn.MaxPool2D(),
        nn.Dropout(0.25),
        nn.Dense(128, activation='relu'),
        nn.Dropout(0.5),
        nn.Dense(10),
    )
    return net


def train(net, images, labels, test_images, test_labels):
    """Trains `net` in place; returns the loss and the two accuracies after each epoch."""
    params = net.params
    optimizer = optax.adamw(optax.cosine_decay_schedule(3e-3, EPOCHS * (len(images) // BATCH)), weight_decay=1e-2)
    optimizer = optax.masked(optimizer, net.trainable(params))  # leaves the running statistics alone
    state = optimizer.init(params)

    def loss(params, x, y, key):
        scores, params = net.apply_train(params, x, key=key)
        return optax.softmax_cross_entropy_with_integer_labels(scores, y).mean(), (scores, params)

    @partial(jax.jit, donate_argnums=(0, 1))
    def step(params, state, x, y, key):
        (value, (scores, params)), gradients = jax.value_and_grad(loss, has_aux=True)(params, x, y, key)
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, value, (scores.argmax(1) == y).mean()

    @jax.jit
    def accuracy(params, x, y):
        return (net.apply(params, x).argmax(1) == y).mean()

    shuffle, key, history = np.random.RandomState(0), jax.random.key(0), []
    columns = BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn('{task.fields[updates]}')
    with Progress('training', *columns) as progress:
        task = progress.add_task('training', total=EPOCHS, updates='')
        for epoch in range(EPOCHS):
            order, seen = shuffle.permutation(len(images)), []
            for start in range(0, len(images) - BATCH + 1, BATCH):
                batch = order[start : start + BATCH]
                step_key = jax.random.fold_in(key, epoch * len(images) + start)
                params, state, *updates = step(params, state, images[batch], labels[batch], step_key)
                seen.append(updates)
            history.append((*np.mean(seen, axis=0), accuracy(params, test_images, test_labels)))
            progress.update(task, advance=1, updates='loss {:.4f}  test accuracy {:.4f}'.format(*history[-1][::2]))

    net.params = params
    return np.array(history)


def draw_learning_curve(history, path):
    """The loss, and the share of errors, after each epoch."""
    losses, train_accuracy, test_accuracy = history.T
    epochs = np.arange(1, len(losses) + 1)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout='constrained')
    left.semilogy(epochs, losses, 'o-', color=BLUE, markersize=4)
    left.set(title='Loss on the training digits (with dropout)', ylabel='cross-entropy')
    right.semilogy(epochs, 100 - 100 * train_accuracy, 'o-', color=BLUE, markersize=4, label='training (with dropout)')
    right.semilogy(epochs, 100 - 100 * test_accuracy, 's-', color=ORANGE, markersize=4, label='test')
    right.set(title=f'Errors; at the end the test accuracy is {test_accuracy[-1]:.2%}', ylabel='digits read wrong (%)')
    right.set_yticks([1, 2, 5, 10, 20, 50], labels=['1', '2', '5', '10', '20', '50'])
    right.legend()
    for axes in (left, right):
        axes.set_xlabel('epoch')
        axes.set_xticks([1, *range(5, len(losses) + 1, 5)])
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def draw_predictions(net, images, labels, path):
    """Of each digit the one that was read right with the greatest doubt, and below some that were read wrong."""
    chances = np.asarray(jax.nn.softmax(net(images)))
    guesses, sure = chances.argmax(1), chances.max(1)
    right, wrong = np.flatnonzero(guesses == labels), np.flatnonzero(guesses != labels)
    doubted = [min(right[labels[right] == digit], key=sure.__getitem__, default=None) for digit in range(10)]
    figure, grid = plt.subplots(2, 10, figsize=(11, 3.6), layout='constrained')
    figure.suptitle(
        f'Of {len(labels)} test digits {len(right)} are read right (above: the least certain of each kind) '
        f'and {len(wrong)} wrong (below)'
    )
    for row, chosen, color in ((grid[0], doubted, BLUE), (grid[1], wrong, ORANGE)):
        for axes in row:
            axes.set_axis_off()
        for axes, i in zip(row, chosen, strict=False):
            if i is None:
                continue
            axes.set_axis_on()
            axes.set(xticks=[], yticks=[])
            axes.imshow(images[i, 0], cmap='gray_r', vmin=0, vmax=1)
            title = f'{guesses[i]}' if guesses[i] == labels[i] else f'{guesses[i]}, not {labels[i]}'
            axes.set_title(f'{title}\n({sure[i]:.0%} sure)', color=color, fontsize=10)
    figure.savefig(path, dpi=120)


def main():
    """The whole story; returns the accuracy on the test digits."""
    gluonjax.seed(0)
    images, test_images, labels, test_labels = load()

    net = build()
    print('The parameters, before the network has seen an input:\n')
    print(net.collect_params())
    net.initialize(init.Xavier())
    net(images[:1])
    print(f'\nand after an input of shape {images[:1].shape}:\n')
    print(net.collect_params(), end='\n\n')

    history = train(net, images, labels, test_images, test_labels)
    accuracy = float((net(test_images).argmax(1) == test_labels).mean())
    print(f'\ntest accuracy: {accuracy:.4f} on {len(test_labels)} digits')

    build_directory = Path('build')
    build_directory.mkdir(exist_ok=True)
    draw_learning_curve(history, build_directory / 'digits_learning_curve.png')
    draw_predictions(net, test_images, test_labels, build_directory / 'digits_predictions.png')
    for picture in sorted(build_directory.glob('digits_*.png')):
        print(f'picture: {picture}')
    return accuracy


if __name__ == '__main__':
    main()
