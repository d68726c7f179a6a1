import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What one sandbox process is told at its start."""

    strict: bool = True
    keys: tuple[str, ...] = ()
    """The only keys accepted; empty accepts every key."""
    models: tuple[str, ...] = ()
    """Extra models, each `vendor/id` or `vendor/id=known-id` to copy the capabilities of."""
    log_file: str | None = None
    log_entries_max: int = 2_000
    pace_ms: float = 0.0
    """Pause before every stream event when no script says otherwise."""
    seed: int = 1
    """Decides which requests a rule with a probability hits."""
    body_bytes_max: int = 33_554_432
    """A larger body is the vendor's 413 (Anthropic's documented 32 MB)."""
