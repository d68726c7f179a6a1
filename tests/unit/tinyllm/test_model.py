"""The arithmetic, on a random model made in memory."""

# ruff: noqa: E402 - what computes is imported once it is known that it can be
from collections.abc import Callable

import pytest

from .extra import need_numpy

need_numpy()

from aibridge_tinyllm.array import Array, np
from aibridge_tinyllm.chat_template import Turn
from aibridge_tinyllm.rotation import Rotation
from aibridge_tinyllm.sampler import Sampler, nucleus
from aibridge_tinyllm.sampling import Sampling
from aibridge_tinyllm.transformer import Transformer

from .tiny_model import GEOMETRY, tiny_model, tiny_weights

TOKENS = [5, 9, 200, 7, 7, 31, 260, 3]
TRANSFORMER = Transformer(tiny_weights())
MODEL = tiny_model()


def read(*pieces: list[int]) -> Array:
    cache = TRANSFORMER.new_cache(50)
    scores = None
    for piece in pieces:
        scores = TRANSFORMER.read(piece, cache)
    return scores


def test_with_the_cache_equals_without() -> None:
    """Token by token, in pieces, or at once: the scores after the last are the same."""
    whole = read(TOKENS)
    assert np.allclose(whole, read(*([token] for token in TOKENS)), atol=1e-4)
    assert np.allclose(whole, read(TOKENS[:3], TOKENS[3:7], TOKENS[7:]), atol=1e-4)
    assert not np.allclose(whole, read(TOKENS[::-1]), atol=1e-2)


def test_equals_the_textbook() -> None:
    """One layer after the other, head by head, written without any of the product's shapes."""
    weights, sizes = tiny_weights(), GEOMETRY
    width, rows = sizes.head_width, sizes.heads // sizes.kv_heads

    def normed(vector: Array, weight: Array) -> Array:
        return vector / np.sqrt((vector**2).mean() + sizes.norm_epsilon) * weight

    def turned(head: Array, place: int) -> Array:
        out = head.copy()
        for i in range(0, width, 2):
            angle = place * sizes.rope_base ** (-i / width)
            cos, sin = np.cos(angle), np.sin(angle)
            out[i], out[i + 1] = (
                head[i] * cos - head[i + 1] * sin,
                head[i] * sin + head[i + 1] * cos,
            )
        return out

    vectors = [weights.embedding[token].astype(np.float64) for token in TOKENS]
    for layer in weights.layers:
        flat = [layer.query_key_value @ normed(v, layer.attention_norm) for v in vectors]
        heads = [np.split(row, sizes.heads + 2 * sizes.kv_heads) for row in flat]
        for place in range(len(vectors)):
            mixed: list[Array] = []
            for number in range(sizes.heads):
                group = sizes.heads + number // rows
                query = turned(heads[place][number], place)
                seen = range(place + 1)
                scores = np.array([query @ turned(heads[t][group], t) for t in seen]) / width**0.5
                chances = np.exp(scores) / np.exp(scores).sum()
                values = [heads[t][group + sizes.kv_heads] for t in seen]
                mixed.append(sum(c * v for c, v in zip(chances, values, strict=True)))
            vectors[place] = vectors[place] + layer.attention_out @ np.concatenate(mixed)
            gate, up = np.split(layer.gate_up @ normed(vectors[place], layer.feedforward_norm), 2)
            vectors[place] = vectors[place] + layer.down @ (gate / (1 + np.exp(-gate)) * up)
    expected = weights.embedding @ normed(vectors[-1], weights.final_norm)

    assert np.allclose(read(TOKENS), expected, atol=1e-3)


def test_a_rotation_keeps_lengths_and_depends_on_distance_only() -> None:
    rotation = Rotation(GEOMETRY)
    one, other = np.random.default_rng(2).normal(size=(2, 1, 1, 8)).astype(np.float32)

    def likeness(place: int, elsewhere: int) -> float:
        return float((rotation.apply(one, place) * rotation.apply(other, elsewhere)).sum())

    assert np.allclose(np.linalg.norm(rotation.apply(one, 9)), np.linalg.norm(one), atol=1e-5)
    assert likeness(3, 7) == pytest.approx(likeness(103, 107), abs=1e-4)
    assert likeness(3, 7) != pytest.approx(likeness(3, 8), abs=1e-3)


SCORES = np.log(np.array([0.1, 0.5, 0.15, 0.25]))


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [(0.0, [1]), (0.5, [1]), (0.6, [1, 3]), (0.76, [1, 3, 2]), (1.0, [1, 3, 2, 0])],
)
def test_the_likeliest_that_reach_top_p(top_p: float, kept: list[int]) -> None:
    tokens, chances = nucleus(SCORES, Sampling(temperature=1, top_p=top_p))
    assert list(tokens) == kept
    assert chances.sum() == pytest.approx(1)
    assert list(chances) == sorted(chances, reverse=True)


def test_temperature_sharpens_and_flattens() -> None:
    def best(temperature: float) -> float:
        return float(nucleus(SCORES, Sampling(temperature=temperature, top_p=1))[1][0])

    assert best(0.5) > best(1) == pytest.approx(0.5)
    assert best(2) < best(1)
    assert best(1e-300) == 1


def test_greedy_takes_the_best_and_a_seed_repeats() -> None:
    def drawn(sampling: Sampling) -> list[int]:
        sampler = Sampler(sampling)
        return [sampler.choose(SCORES) for _ in range(200)]

    assert set(drawn(Sampling(temperature=0))) == {1}
    seeded = Sampling(temperature=1, top_p=1, seed=-5)
    assert drawn(seeded) == drawn(seeded)
    assert drawn(seeded) != drawn(Sampling(temperature=1, top_p=1, seed=6))
    assert drawn(seeded).count(1) == pytest.approx(100, abs=30)


def generated(
    text: str, *, tokens_max: int = 20, wanted: Callable[[], bool] = lambda: True
) -> list[bytes]:
    prompt = MODEL.prompt([Turn(role="user", text=text)])
    sampling = Sampling(temperature=0)
    return list(MODEL.generate(prompt, sampling=sampling, tokens_max=tokens_max, wanted=wanted))


def test_it_generates_the_same_greedily_and_at_most_what_it_may() -> None:
    assert generated("Hello") == generated("Hello")
    assert len(generated("Hello", tokens_max=4)) <= 4
    assert generated("x" * 500, tokens_max=3)[:1] == generated("x" * 500, tokens_max=1)


def test_it_ends_when_nobody_wants_more() -> None:
    assert generated("Hello", wanted=lambda: False) == []
    answers = iter([True, True, False])
    assert len(generated("Hello", wanted=lambda: next(answers))) <= 2
