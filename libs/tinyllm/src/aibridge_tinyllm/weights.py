"""The numbers of a model, laid out for reading: what is used at once lies in one matrix."""

from msgspec import Struct

from aibridge_tinyllm.array import Array
from aibridge_tinyllm.geometry import Geometry


class Layer(Struct, frozen=True, kw_only=True):
    """One transformer block. Every matrix is `(out, in)`, as a file stores it."""

    attention_norm: Array
    query_key_value: Array
    attention_out: Array
    feedforward_norm: Array
    gate_up: Array
    down: Array


class Weights(Struct, frozen=True, kw_only=True):
    """All of them, in float32."""

    geometry: Geometry
    embedding: Array
    """`(vocabulary, width)`; also read backwards, from a vector to the score of each token."""
    layers: tuple[Layer, ...]
    final_norm: Array
