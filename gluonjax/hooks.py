"""What can be seen of networks from outside: a walk over their blocks, when each is called, and what each gives."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self, TypeVar

from gluonjax.block import Block
from gluonjax.errors import ArgumentError, PatternError, TransformationError
from gluonjax.layer import Layer
from gluonjax.lazy import suggests_keywords
from gluonjax.messages import layer_text
from gluonjax.param import trace_state
from gluonjax.parameter import LOCK, nodes_of, structure_changed
from gluonjax.refusals import takes
from gluonjax.run import Bindable, path_of, run_of
from gluonjax.tree import Path, matches

Select = str | int | Sequence[str | int] | None  # layers: by a pattern for paths, by paths or indices, or all
Outputs = OrderedDict[str, Any]  # path of a layer -> its output; pytrees keep the order of such dicts alone
_Network = TypeVar('_Network', bound=Block)


def named_blocks(net: Block) -> Iterator[tuple[str, Block]]:
    """Every network in this one with its name, those inside before the one around; last, as '', this one itself.

    What is in two places comes twice.

    >>> from gluonjax import nn
    >>> net = nn.Sequential(nn.Dense(2), nn.Sequential(nn.Dense(3)))
    >>> [name for name, block in net.named_blocks()]
    ['0', '1.0', '1', '']
    """
    return _named_blocks(net, ())


def _named_blocks(net: Block, path: Path) -> Iterator[tuple[str, Block]]:
    for below, node in nodes_of(vars(net)):
        if isinstance(node, Block):
            yield from _named_blocks(node, (*path, *below))
    yield '.'.join(path), net


@suggests_keywords
def visit(net: _Network, function: Callable[[Any], Any]) -> _Network:
    """Calls a function of every network in this one, and of this one last: Gluon's `net.apply(function)`.

    Here `net.apply` is the pure function of the params and the inputs.

    >>> from gluonjax import nn
    >>> net = nn.Sequential(nn.Dense(2), nn.Dropout(0.5)).visit(lambda block: block.hybridize(active=False))
    """
    if not callable(function):
        raise ArgumentError('visit takes a function of a network', got=repr(function))
    for _, block in list(net.named_blocks()):
        function(block)
    return net


@suggests_keywords
def register_forward_pre_hook(net: Block, hook: Callable[..., Any]) -> HookHandle:
    """Has `hook(block, inputs)` called before each `forward` of this network; see `register_forward_hook`."""
    return HookHandle(net, 0, hook)


@suggests_keywords
def register_forward_hook(net: Block, hook: Callable[..., Any]) -> HookHandle:
    """Has `hook(block, inputs, output)` called after each `forward` of this network, wherever it is called from.

    That is in a network around it, in a Trainer's step, in `net.apply`, but not while shapes are inferred. What a
    hook returns is ignored, as in Gluon. In a compiled network it is called while JAX traces, once a program: it
    sees tracers, which have a shape and a dtype but no values, and which it may not keep; `jax.debug.print` and
    `jax.debug.callback` in it run at each call. `net.hybridize(active=False)` runs op by op, and hooks then see
    arrays at each call. Whoever wants the arrays of layers takes `net.intermediates`.

    With the first call after a hook came, the network is traced again; when all are gone, it has the program from
    before. Copies and pickles have no hooks.

    Args:
        hook: a function of this network, the tuple of its inputs (those by name last), and its output.

    Returns:
        A handle, whose `detach()` removes the hook; in a `with` statement its end does.

    Raises:
        ArgumentError: for what cannot be called with these arguments.

    >>> import jax.numpy as jnp
    >>> from gluonjax import nn
    >>> net = nn.Sequential(nn.Dense(2), nn.Dense(3))
    >>> net.initialize()
    >>> with net[0].register_forward_hook(lambda block, inputs, output: print(inputs[0].shape, output.shape)):
    ...     y = net(jnp.ones((1, 4)))
    (1, 4) (1, 2)
    """
    return HookHandle(net, 1, hook)


@suggests_keywords
def intermediates(
    net: Block, *inputs: Any, select: Select = None, training: bool = False, key: Any = None, **named: Any
) -> Outputs:
    """Runs the network as `net(*inputs)` does, compiled, and returns the outputs of the layers in it.

    In `forward` a child has it too: `self.backbone.intermediates(x, select=['3', '5'])`. The pure function is
    `layer.intermediates(params, x)`.

    Args:
        *inputs: the inputs, also by name.
        select: the paths of layers, or indices of a Sequential's, in a list; or a pattern for paths (`re.match`);
            None for all. What nothing needs is not computed.
        training: as when the network is called.
        key: as when the network is called.

    Returns:
        Path -> output, in the order of the list, else in that in which the layers ran; '' is the network's own. Of
        a layer that ran several times it is the last output; of one in a `Repeat`, those of all copies, stacked.

    Raises:
        PatternError: if a path or pattern is that of no layer that ran.
        TransformationError: for a selected layer that `forward` called in a `jax.vmap` or the like of its own.

    >>> import jax.numpy as jnp
    >>> from gluonjax import nn
    >>> net = nn.Sequential(nn.Dense(2), nn.Dense(3), nn.Dense(4))
    >>> net.initialize()
    >>> {path: y.shape for path, y in net.intermediates(jnp.ones((1, 5)), select=[0, 2]).items()}
    {'0': (1, 2), '2': (1, 4)}
    """
    return net(*inputs, method='intermediates', select=select, training=training, key=key, **named)


@suggests_keywords
def intermediates_of_layer(
    layer: Layer, params: Mapping[str, Any], /, *inputs: Any, select: Select = None, **named: Any
) -> Outputs:
    """As `Block.intermediates`, of these params: a pure function."""
    return layer.apply(params, *inputs, method='intermediates', select=select, **named)


def intermediates_in_forward(layer: Bindable, *inputs: Any, select: Select = None, **named: Any) -> Outputs:
    """What `intermediates` of a network is of a layer that `forward` sees."""
    run, start = run_of(layer, 'intermediates()'), len(path_of(layer))
    above, trace, here = run.observe, run.trace, trace_state()
    wanted = [str(path) for path in ([select] if isinstance(select, int) else select or [])]
    is_wanted = (lambda n: matches(select or '', [n])) if isinstance(select, str | None) else wanted.__contains__
    key, names = f'output of a layer in {layer_text(path_of(layer))}: '.__add__, []

    def observe(path: Path, seen: Bindable, output: Any) -> Any:
        output = output if above is None else above(path, seen, output)
        names.append('.'.join(path[start:]))
        if is_wanted(names[-1]):
            if trace_state() != (here if run.trace is trace else run.trace):
                what = f'{layer_text(path)} ran inside a transformation of your own (scan, vmap, grad, jit, checkpoint)'
                raise TransformationError(what, remedy='a select= without it, or self.scan, self.checkpoint')
            run.recorded[key(names[-1])] = output
        return output

    run.observe = observe
    try:
        run.call(layer, layer.forward, inputs, named)
    finally:
        run.observe = above
    if isinstance(select, str | None):
        wanted = [name for name in dict.fromkeys(names) if is_wanted(name)]
    if not wanted or not {*wanted} <= {*names}:
        raise PatternError(f'select={select!r} names what no layer that ran is called', expected=names)
    return OrderedDict((name, run.recorded.pop(key(name))) for name in wanted)


class HookHandle:
    """What a hook can be removed with, as Gluon's."""

    def __init__(self, block: Block, kind: int, hook: Callable[..., Any]):
        arguments = ['block', 'inputs', 'output'][: 2 + kind]
        if not (callable(hook) and takes(hook, arguments, {})):
            raise ArgumentError('this cannot be a hook', expected=f'hook({", ".join(arguments)})', got=repr(hook))
        self._block, self._kind, self._hook = block, kind, functools.partial(hook, block)
        self._change(self._hook)

    def _change(self, *added: Callable[..., Any]) -> None:
        with LOCK:
            hooks = list(self._block._hooks)
            hooks[self._kind] = (*(hook for hook in hooks[self._kind] if hook is not self._hook), *added)
            object.__setattr__(self._block, '_hooks', tuple(hooks))
            structure_changed(self._block)

    def detach(self) -> None:
        """Removes the hook. Once is enough, and twice does no harm."""
        self._change()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.detach()


intermediates_of_layer.__name__ = 'intermediates'  # so errors call it
