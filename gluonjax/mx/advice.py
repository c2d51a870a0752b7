"""Advice on a script for MXNet: the lines that would gain from gluonjax's own API, each with what to write instead.

It comes from the script's syntax tree, and from what ran: how often each line waited for the device, and how many
compiled programs it started.
"""

from __future__ import annotations

import ast
import collections
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from gluonjax.mx import array, tape


class Advice(NamedTuple):
    """What one line would gain from.

    Args:
        line: its number.
        why: what is slow or not needed there.
        instead: what to write.
    """

    line: int
    why: str
    instead: str


class Counts(NamedTuple):
    """What ran, by the number of the script's line."""

    waits: collections.Counter[int]
    programs: collections.Counter[int]


@contextlib.contextmanager
def counting(path: str) -> Iterator[Counts]:
    """A `with` block in which waits for the device and compiled programs are counted by the lines of a script."""
    counts = Counts(collections.Counter(), collections.Counter())
    wait, read, call = array.NDArray.wait_to_read, array.NDArray.asnumpy, tape.call

    def counted(function: Any, counter: collections.Counter[int]) -> Any:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            frame = sys._getframe(1)
            while frame is not None and frame.f_code.co_filename != path:
                frame = frame.f_back
            if frame is not None:
                counter[frame.f_lineno] += 1
            return function(*args, **kwargs)

        return wrapper

    array.NDArray.wait_to_read = counted(wait, counts.waits)
    array.NDArray.asnumpy = counted(read, counts.waits)
    tape.call = counted(call, counts.programs)
    try:
        yield counts
    finally:
        array.NDArray.wait_to_read, array.NDArray.asnumpy, tape.call = wait, read, call


_READS = ('asnumpy', 'asscalar', 'item', 'tolist', 'wait_to_read', 'waitall')
_CONTEXTS = ('as_in_context', 'as_in_ctx', 'split_and_load', 'copyto')
_MANY = 100  # programs of one line, from which on they are worth a word


class _Script(ast.NodeVisitor):
    """Reads a script, and collects advice by line."""

    def __init__(self, counts: Counts | None):
        self.counts, self.loops = counts, 0
        self.found: dict[Advice, None] = {}
        self.names: dict[str, str] = {}  # variable -> the call that it was made by
        self.hybrid = self.hybridized = False
        self.initialized: int = 0

    def add(self, at: Any, why: str, instead: str) -> None:
        """Notes advice on a line, or on that of a node."""
        self.found[Advice(at if isinstance(at, int) else at.lineno, why, instead)] = None

    def named(self, ending: str) -> str:
        """The variable that such a call made: a loss, say."""
        return next((name for name, made in self.names.items() if made.endswith(ending)), ending.lower())

    def visit_For(self, node: ast.For) -> None:
        self.loops += 1
        self.generic_visit(node)
        self.loops -= 1

    visit_While: Any = visit_For
    visit_AsyncFor: Any = visit_For

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.hybrid |= any(ast.unparse(base).endswith('HybridBlock') for base in node.bases)
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if isinstance(node.value, ast.Call) and isinstance(node.targets[0], ast.Name):
            self.names[node.targets[0].id] = ast.unparse(node.value.func)
        self.generic_visit(node)

    def visit_With(self, node: ast.With) -> None:
        recording = [item for item in node.items if ast.unparse(item.context_expr).split('(')[0].endswith('record')]
        if recording and self.loops:
            self.add(
                node, 'record, backward and step run three programs or more; a native step is one', self.step(node)
            )
        self.generic_visit(node)

    def step(self, block: ast.With) -> str:
        """The native step for what a recorded block computes: `trainer.step(x, y)`."""
        calls = [node for node in ast.walk(block) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
        losses = [node for node in calls if self.names.get(ast.unparse(node.func), '').endswith('Loss')]
        label = ast.unparse(losses[0].args[1]) if losses and len(losses[0].args) > 1 else 'y'
        networks = [node for node in calls if node not in losses and node.args]
        data = ast.unparse(networks[0].args[0]) if networks else 'x'
        return f'value = trainer.step({data}, {label}); or trainer.fit(x, y, epochs=..., batch_size=...) for the loops'

    def visit_Call(self, node: ast.Call) -> None:
        function = ast.unparse(node.func)
        name = function.rpartition('.')[2]
        self.hybrid |= name == 'HybridSequential'
        self.hybridized |= name == 'hybridize'
        if name == 'initialize' and not self.initialized:
            self.initialized = node.lineno
        for look in (self._trainer, self._in_a_loop, self._contexts, self._files):
            look(node, function, name)
        self.generic_visit(node)

    def _trainer(self, node: ast.Call, function: str, name: str) -> None:
        if name != 'Trainer' or len(node.args) < 2:
            return
        params, optimizer, *options = map(ast.unparse, node.args)
        network = params.removesuffix('.collect_params()')
        options = [f'optimizer_params={options[0]}'] if options else []
        arguments = ', '.join([network, self.named('Loss'), f'optimizer={optimizer}', *options])
        self.add(
            node.lineno, 'a native Trainer compiles network, loss and update into one program', f'Trainer({arguments})'
        )

    def _in_a_loop(self, node: ast.Call, function: str, name: str) -> None:
        if not self.loops:
            return
        waits = self.counts.waits[node.lineno] if self.counts else None
        owner = function.rpartition('.')[0]
        if name in _READS and waits != 0:
            times = '' if waits is None else f' ({waits:,} times)'
            why = f'the loop waits here for the device{times}'
            self.add(
                node.lineno, why, 'keep values on the device, add them up there, and read them once after the loop'
            )
        elif function.endswith(('nd.array', 'np.array')):
            why = 'arrays are copied to the device one by one'
            self.add(node, why, 'data.batches(x, y, batch_size=...) or trainer.fit(x, y, batch_size=...)')
        elif name == 'update' and 'metric' in self.names.get(owner, owner).lower():
            why = 'the metric is computed by programs of its own'
            self.add(
                node.lineno,
                why,
                'Trainer(net, loss, metrics=[...]) computes it within the step; trainer.evaluate(x, y)',
            )
        elif name == 'set_learning_rate':
            instead = "optimizer_params={'lr_scheduler': lr_scheduler.CosineScheduler(...)}, or another schedule"
            self.add(node, 'the schedule is driven by hand', instead)

    def _contexts(self, node: ast.Call, function: str, name: str) -> None:
        if name in _CONTEXTS or any(word.arg in ('ctx', 'device') for word in node.keywords):
            why = 'contexts are not needed: arrays are made on the first accelerator'
            self.add(node, why, 'leave it out; on several devices Trainer(net, loss, mesh=...)')

    def _files(self, node: ast.Call, function: str, name: str) -> None:
        if function.endswith(('nd.save', 'nd.load', 'npx.save', 'npx.load')):
            self.add(
                node.lineno, "MXNet's format", f"io.{name}('file.safetensors', ...), which other libraries read too"
            )

    def finish(self) -> list[Advice]:
        """The advice that depends on the whole script, with all of the other, by line."""
        if self.hybrid and not self.hybridized and self.initialized:
            why = 'the network runs operation by operation'
            self.add(self.initialized, why, 'net.hybridize() after it')
        known = {advice.line for advice in self.found}
        for line, count in (self.counts.programs if self.counts else {}).items():
            if count >= _MANY and line not in known:
                instead = 'put it into the forward of a hybridized block, or into a function under jax.jit'
                self.add(line, f'{count:,} operations ran one by one', instead)
        return sorted(self.found, key=lambda advice: advice.line)


def advise(source: str, counts: Counts | None = None) -> list[Advice]:
    r"""The lines of a script that would gain, in order.

    Args:
        source: the script.
        counts: what ran; without it, what the script says alone.

    >>> advise('for x in data:\n    total += net(x).sum().asscalar()')[0].line
    2
    """
    script = _Script(counts)
    script.visit(ast.parse(source))
    return script.finish()


def report(path: str, counts: Counts | None = None) -> str:
    """The advice on a script as text."""
    source = Path(path).read_text(encoding='utf-8')
    found, lines = advise(source, counts), source.splitlines()
    if not found:
        return f'{path}: nothing here would gain from the native API'
    parts = [
        f'{path}: what would gain from the native API (from gluonjax import Trainer, data, io, loss, lr_scheduler, nn)'
    ]
    for line, why, instead in found:
        parts.append(f'{line:5}  {lines[line - 1].strip()}\n         {why}\n      -> {instead}')
    return '\n\n'.join(parts)
