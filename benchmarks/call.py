"""What does calling a network cost, beside a hand-written `jax.jit(apply)(params, x)` and beside other libraries?

Small networks at batch 2, where a call is mostly Python: an MLP 20-256-10, and 24 layers of width 64. Calls wait for
their result (no asynchronous dispatch), so that a hop between threads hides nothing.
"""

import jax

jax.config.update('jax_cpu_enable_async_dispatch', False)

import _peers  # noqa: E402
from _models import agree, mlp, mlp_by_hand  # noqa: E402
from _timing import available, report, time_statements  # noqa: E402

BY_HAND = 'jax.jit(apply)(params, x)'
ROUNDS = 100


def ours(widths, x, **hybrid):
    net = mlp(*widths)
    net.initialize('xavier', key=0)
    net.hybridize(**hybrid)
    return net, net(x)


def compare(title: str, inputs: int, widths) -> None:
    x = jax.random.normal(jax.random.key(1), (2, inputs))
    net, y = ours(widths, x)
    frozen, _ = ours(widths, x, static_params=True)
    by_hand = jax.jit(mlp_by_hand)
    agree(y, by_hand(net.params, x))
    agree(frozen(x), y)
    statements = {
        BY_HAND: ('f(params, x)', {'f': by_hand, 'params': net.params, 'x': x}),
        'gluonjax net(x)': ('f(x)', {'f': net, 'x': x}),
        'gluonjax net(x), static_params=True': ('f(x)', {'f': frozen, 'x': x}),
        'gluonjax jax.jit(net.apply)(params, x)': ('f(p, x)', {'f': jax.jit(net.apply), 'p': net.params, 'x': x}),
    }
    peers = {name: lambda make=make: make(inputs, widths, x) for name, make in _peers.CALLS.items()}
    report(title, time_statements({**statements, **available(peers)}, ROUNDS), base=BY_HAND)


if __name__ == '__main__':
    compare('MLP 20-256-10, batch 2', 20, (256, 10))
    compare('24 layers of width 64, batch 2', 64, (64,) * 24)
