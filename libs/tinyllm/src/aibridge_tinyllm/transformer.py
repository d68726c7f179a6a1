"""The forward pass of a Llama-shaped model: RMS norm, grouped attention with rotary positions, SwiGLU."""

from collections.abc import Sequence

from aibridge_tinyllm.array import Array, np
from aibridge_tinyllm.cache import Cache
from aibridge_tinyllm.rotation import Rotation
from aibridge_tinyllm.weights import Layer, Weights


class Transformer:
    """Keeps nothing between calls; a conversation's state is its cache."""

    def __init__(self, weights: Weights) -> None:
        self.geometry = weights.geometry
        self._weights = weights
        self._rotation = Rotation(weights.geometry)

    def new_cache(self, tokens_max: int) -> Cache:
        """For one conversation of at most so many tokens."""
        return Cache(self.geometry, tokens_max)

    def read(self, tokens: Sequence[int], cache: Cache) -> Array:
        """Read at least one more token; the score `(vocabulary,)` of each token to come next."""
        vectors = self._weights.embedding[np.asarray(tokens)]
        for number, layer in enumerate(self._weights.layers):
            vectors = vectors + self._attention(number, layer, vectors, cache)
            vectors = vectors + self._feedforward(layer, vectors)
        cache.advance(len(tokens))
        last = self._normed(vectors[-1], self._weights.final_norm)
        return self._weights.embedding @ last

    def _attention(self, number: int, layer: Layer, vectors: Array, cache: Cache) -> Array:
        sizes = self.geometry
        count, groups, width = len(vectors), sizes.kv_heads, sizes.head_width
        flat = self._normed(vectors, layer.attention_norm) @ layer.query_key_value.T
        heads = flat.reshape(count, -1, width)
        turned = self._rotation.apply(heads[:, : sizes.heads + groups], cache.tokens)
        keys, values = cache.extend(
            number, turned[:, sizes.heads :], heads[:, sizes.heads + groups :]
        )
        # Query heads of one group share its keys: they are its rows, (groups, heads of it * tokens, width).
        queries = turned[:, : sizes.heads].reshape(count, groups, -1, width).transpose(1, 2, 0, 3)
        scores = queries.reshape(groups, -1, width) @ keys.transpose(0, 2, 1)
        scores *= width**-0.5
        if count > 1:
            _hide_later(scores.reshape(groups, -1, count, keys.shape[1]))
        _softmax(scores)
        mixed = (scores @ values).reshape(groups, -1, count, width).transpose(2, 0, 1, 3)
        return mixed.reshape(count, -1) @ layer.attention_out.T

    def _feedforward(self, layer: Layer, vectors: Array) -> Array:
        gate, up = np.split(
            self._normed(vectors, layer.feedforward_norm) @ layer.gate_up.T, 2, axis=-1
        )
        return (gate / (1 + np.exp(-np.clip(gate, -80, None))) * up) @ layer.down.T

    def _normed(self, vectors: Array, weight: Array) -> Array:
        power = np.square(vectors).mean(axis=-1, keepdims=True)
        return vectors / np.sqrt(power + np.float32(self.geometry.norm_epsilon)) * weight


def _hide_later(scores: Array) -> None:
    """No token sees those after it; the new ones are the last of `(groups, heads, new, all)`."""
    new, everything = scores.shape[-2:]
    scores[..., np.triu(np.ones((new, everything), dtype=bool), k=everything - new + 1)] = -np.inf


def _softmax(scores: Array) -> None:
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
