"""A random model small enough to compute by the thousand. Import it after `need_numpy`."""

from aibridge_tinyllm.array import Array, np
from aibridge_tinyllm.geometry import Geometry
from aibridge_tinyllm.language_model import LanguageModel
from aibridge_tinyllm.tokenizer import Tokenizer
from aibridge_tinyllm.transformer import Transformer
from aibridge_tinyllm.weights import Layer, Weights

from .alphabet import alphabet

GEOMETRY = Geometry(
    layers=2,
    heads=4,
    kv_heads=2,
    width=32,
    context_tokens=600,
    rope_base=10_000.0,
    norm_epsilon=1e-5,
)


def tiny_weights() -> Weights:
    """The same every time."""
    dice = np.random.default_rng(1)

    def drawn(*shape: int) -> Array:
        return dice.normal(0, 0.3, shape).astype(np.float32)

    wide = GEOMETRY.width
    layers = [
        Layer(
            attention_norm=drawn(wide) + 1,
            query_key_value=drawn(wide * 2, wide),
            attention_out=drawn(wide, wide),
            feedforward_norm=drawn(wide) + 1,
            gate_up=drawn(2 * 48, wide),
            down=drawn(wide, 48),
        )
        for _ in range(GEOMETRY.layers)
    ]
    return Weights(
        geometry=GEOMETRY,
        embedding=drawn(len(alphabet().tokens), wide),
        layers=tuple(layers),
        final_norm=drawn(wide) + 1,
    )


def tiny_model() -> LanguageModel:
    return LanguageModel("tiny", Tokenizer(alphabet()), Transformer(tiny_weights()))
