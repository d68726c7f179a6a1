from aibridge_tinyllm.array import Array, np
from aibridge_tinyllm.geometry import Geometry


class Rotation:
    """Rotary positions: neighbouring numbers are a point, turned by an angle that grows with the position."""

    def __init__(self, geometry: Geometry) -> None:
        steps = np.arange(0, geometry.head_width, 2) / geometry.head_width
        angles = np.outer(np.arange(geometry.context_tokens), geometry.rope_base**-steps)
        self._turns: Array = np.exp(1j * angles).astype(np.complex64)

    def apply(self, heads: Array, start: int) -> Array:
        """Turn `(tokens, heads, head_width)`, the first of which stands at `start`."""
        turns = self._turns[start : start + len(heads), None]
        return (heads.view(np.complex64) * turns).view(np.float32)
