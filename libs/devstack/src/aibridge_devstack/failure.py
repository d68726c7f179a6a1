class StartFailed(Exception):  # noqa: N818 - reads as the sentence it is
    """The stack cannot run; the message says why and what to do, in words for the terminal."""
