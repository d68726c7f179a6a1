from msgspec import Struct


class Geometry(Struct, frozen=True, kw_only=True):
    """The sizes of a Llama-shaped model."""

    layers: int
    heads: int
    kv_heads: int
    """Each is shared by `heads / kv_heads` query heads."""
    width: int
    """Of one token's vector."""
    context_tokens: int
    rope_base: float
    norm_epsilon: float

    @property
    def head_width(self) -> int:
        """Of one head's share of a token's vector."""
        return self.width // self.heads
