from msgspec import Struct


class Sampling(Struct, frozen=True, kw_only=True):
    """How the next token is chosen. The defaults are those the model's makers recommend."""

    temperature: float = 0.2
    """0 takes the likeliest token."""
    top_p: float = 0.9
    """Only the likeliest tokens that together have this probability."""
    seed: int | None = None
    """The same seed, the same answer."""
