"""MXNet's operators: one table. Imported graphs, `mx.sym` and whatever else speaks MXNet use it.

An entry is a pure function under MXNet's name, one file a family. Its signature says most of it:

    @operator('FullyConnected', '_npx_fully_connected', only_if=..., infer=...)
    def fully_connected(data, weight, bias=None, *, num_hidden: int, no_bias: bool = False, flatten: bool = True):

- the names are MXNet's, aliases after the first;
- positional parameters are the inputs, in MXNet's order, auxiliary states and labels among them; one with the default
  None may be missing when the operator runs, as a label; `*data` is any number of them;
- keyword-only parameters are the attributes, with MXNet's defaults; the annotation (`int`, `float`, `bool`, `str`,
  `Shape`, `Floats`, `DType`, `Literal[...]`, or one of them `| None`) says how MXNet's string is parsed;
- the keyword `pass_: Pass` is there for those that ask whether it is training, for a random key, or for subgraphs;
- it returns one array or a tuple of them; with `auxiliary=` the outputs and a tuple of the new auxiliary states.

`only_if` says which inputs depend on attributes, `outputs` and `visible` how many outputs there are, and `infer` what
the shapes of parameters, labels and states must be. Shapes and dtypes of outputs follow from `jax.eval_shape`.

To add one: write the entry, add its cases to a table in `tests/golden/operator_cases*.py`, and make the golden file
again; names, attributes and defaults are compared with MXNet's declarations by themselves.

What differs from MXNet 1.9.1 on purpose: integers of 64 bits have 32 unless JAX has them enabled. Gradients that are of
another function there (`LeakyReLU` with selu, `SoftmaxActivation` on more than two axes, `SoftmaxOutput` with
`out_grad`, `_npi_rarctan2_scalar`) are of the operator here. A gamma that is fixed is taken as 1, and not overwritten.
`RNN` heeds `sequence_length` and the clipping of states on CPUs too.

>>> import jax.numpy as jnp
>>> OPERATORS['Activation'](jnp.array([-1.0, 2.0]), act_type='relu')
Array([0., 2.], dtype=float32)
"""

from gluonjax.mx.op import (
    attention,
    boxes,
    contrib,
    control,
    deformable,
    elementwise,
    image,
    index,
    linalg,
    loss,
    multibox,
    nn,
    numpy,
    numpy_index,
    quantized,
    random,
    reduce,
    regions,
    resize,
    rnn,
    shape,
    spatial,
    update,
    updates,
)
from gluonjax.mx.op.table import INFERENCE, OPERATORS, Operator, Pass, check_present, find, operator

__all__ = [
    'INFERENCE',
    'OPERATORS',
    'Operator',
    'Pass',
    'attention',
    'boxes',
    'check_present',
    'contrib',
    'control',
    'deformable',
    'elementwise',
    'find',
    'image',
    'index',
    'linalg',
    'loss',
    'multibox',
    'nn',
    'numpy',
    'numpy_index',
    'operator',
    'quantized',
    'random',
    'reduce',
    'regions',
    'resize',
    'rnn',
    'shape',
    'spatial',
    'update',
    'updates',
]
