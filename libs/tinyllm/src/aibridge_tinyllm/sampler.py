from aibridge_tinyllm.array import Array, np
from aibridge_tinyllm.sampling import Sampling


class Sampler:
    """Chooses tokens for one answer."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._dice = np.random.default_rng(None if sampling.seed is None else abs(sampling.seed))

    def choose(self, scores: Array) -> int:
        """One of the tokens that `(vocabulary,)` scores."""
        if self._sampling.temperature == 0:
            return int(scores.argmax())
        likely, chances = nucleus(scores, self._sampling)
        return int(self._dice.choice(likely, p=chances))


def nucleus(scores: Array, sampling: Sampling) -> tuple[Array, Array]:
    """The tokens that may be chosen, likeliest first, and their probabilities, which add up to 1.

    The token that reaches `top_p` is one of them, so there is always at least one.
    """
    with np.errstate(over="ignore"):  # a tiny temperature makes all but the best impossible
        weighed = (scores - scores.max()).astype(np.float64) / sampling.temperature
    chances = np.exp(weighed)
    chances /= chances.sum()
    order = np.argsort(-chances, kind="stable")
    reached = np.cumsum(chances[order])
    kept = order[: int(np.searchsorted(reached, sampling.top_p)) + 1]
    return kept, chances[kept] / chances[kept].sum()
