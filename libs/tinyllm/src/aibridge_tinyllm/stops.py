"""Stop sequences in text that comes in pieces."""

from collections.abc import Sequence


class Stops:
    """Lets text through up to the first stop sequence, and holds back what may become one."""

    def __init__(self, sequences: Sequence[str]) -> None:
        self._sequences = [sequence for sequence in sequences if sequence]
        self._held = ""
        self.found = False

    def feed(self, text: str) -> str:
        """What can be said now."""
        if self.found:
            return ""
        text = self._held + text
        places = [place for sequence in self._sequences if (place := text.find(sequence)) >= 0]
        if places:
            self.found, self._held = True, ""
            return text[: min(places)]
        hold = max((_overlap(text, sequence) for sequence in self._sequences), default=0)
        self._held = text[len(text) - hold :]
        return text[: len(text) - hold]

    def end(self) -> str:
        """What was held back, now that nothing follows."""
        rest, self._held = self._held, ""
        return rest


def _overlap(text: str, sequence: str) -> int:
    """How many letters at the end of `text` are the beginning of `sequence`."""
    longest = min(len(text), len(sequence) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(sequence[:n])), 0)
