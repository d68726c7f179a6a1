from aibridge_tinyllm.array import Array, np
from aibridge_tinyllm.geometry import Geometry


class Cache:
    """The keys and values of the tokens read so far, so that each is computed once."""

    def __init__(self, geometry: Geometry, tokens_max: int) -> None:
        shape = (geometry.layers, geometry.kv_heads, tokens_max, geometry.head_width)
        self.tokens = 0
        self._keys: Array = np.empty(shape, dtype=np.float32)
        self._values: Array = np.empty(shape, dtype=np.float32)

    def extend(self, layer: int, keys: Array, values: Array) -> tuple[Array, Array]:
        """Add `(tokens, kv_heads, head_width)` of each; all of the layer's, `(kv_heads, tokens, head_width)`.

        `tokens` counts the new ones only after `advance`, when every layer has them.
        """
        end = self.tokens + len(keys)
        for store, fresh in ((self._keys, keys), (self._values, values)):
            store[layer, :, self.tokens : end] = fresh.transpose(1, 0, 2)
        return self._keys[layer, :, :end], self._values[layer, :, :end]

    def advance(self, tokens: int) -> None:
        """So many more were read."""
        self.tokens += tokens
