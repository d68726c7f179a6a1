"""Byte pair encoding of one word."""

from collections.abc import Mapping
from heapq import heapify, heappop, heappush
from itertools import pairwise


def merge(letters: str, ranks: Mapping[tuple[str, ...], int]) -> list[str]:
    """Join the neighbours of the lowest rank, leftmost first, until no pair has one.

    A heap of candidate pairs keeps a word of n letters at n log n; a word may be as long as the prompt.
    """
    parts = list(letters)
    after = list(range(1, len(parts) + 1))
    before = list(range(-1, len(parts) - 1))
    heap = [
        (ranks[pair], place, pair) for place, pair in enumerate(pairwise(parts)) if pair in ranks
    ]
    heapify(heap)
    while heap:
        _, left, pair = heappop(heap)
        right = after[left]
        if right >= len(parts) or (parts[left], parts[right]) != pair:
            continue  # one of the two was joined to something else meanwhile
        parts[left], parts[right] = pair[0] + pair[1], ""
        after[left] = after[right]
        if after[left] < len(parts):
            before[after[left]] = left
        for place in (before[left], left):
            neighbour = after[place] if place >= 0 else len(parts)
            if neighbour < len(parts):
                fresh = (parts[place], parts[neighbour])
                if fresh in ranks:
                    heappush(heap, (ranks[fresh], place, fresh))
    return [part for part in parts if part]
