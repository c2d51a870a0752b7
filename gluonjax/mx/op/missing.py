"""Operators of MXNet that are not here, and why."""

import re

_PYTHON = 'it runs Python code that a graph does not contain; write that code as a Block'
_ENGINE = "it belongs to MXNet's engine, and no graph that was saved needs it"
_SPARSE = 'its results have a sparse storage type, and arrays here are dense'
_FUSED = 'it is what MXNet makes of a graph for one kind of processor; export the graph without that backend'
_FILES = 'it reads files or images with OpenCV, which is no part of a graph; use a data loader'
_WHY = (  # patterns of whole names
    (r'Custom|_npi_Custom|_CustomFunction|_Native|_NDArray', _PYTHON),
    (r'_CachedOpThreadSafe|_NoGradient|_set_value|_copyto|_npi_copyto|_npi_share_memory', _ENGINE),
    (r'_.*backward(_.*)?', 'gradients are made by jax.grad, not by operators'),
    (r'_contrib_dgl_.*', _SPARSE),
    (r'_sg_.*|_contrib_quantize_asym|_contrib_quantized_rnn', _FUSED),
    (r'_contrib_calibrate_entropy', 'it chooses ranges when a network is quantized, and no graph has it'),
    (r'_contrib_tvm_.*|_TensorRT|_FusedOp.*', _FUSED),
    (r'_cv.*|_npi_cv.*|_imdecode', _FILES),
)


def why_missing(name: str) -> str | None:
    """Why there is no operator of this name; None where nothing is known of it.

    >>> why_missing('_contrib_dgl_subgraph')
    'its results have a sparse storage type, and arrays here are dense'
    """
    return next((why for pattern, why in _WHY if re.fullmatch(pattern, name)), None)
