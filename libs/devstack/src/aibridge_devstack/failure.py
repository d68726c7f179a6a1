class StartFailed(Exception):
    """The stack cannot run; the message says why and what to do, in words for the terminal."""
