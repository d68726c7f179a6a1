"""What is checked on the bytes of a request before anything decodes them."""

DEPTH_MAX = 64
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def nested_too_deep(body: bytes, limit: int = DEPTH_MAX) -> bool:
    """Whether JSON `body` nests deeper than `limit`.

    A decoder that recurses can exhaust the stack on a few kilobytes of brackets, so this comes first. It runs on
    whole-body operations only: strings are cut out, then matching pairs are removed until nothing is left.
    """
    if body.count(b"[") + body.count(b"{") <= limit:
        return False
    brackets = _outside_strings(body).translate(None, _NOT_BRACKETS)
    for _ in range(limit):
        shorter = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if len(shorter) == len(brackets):
            break
        brackets = shorter
    return len(brackets) > limit


def repeats_top_level(body: bytes, name: bytes) -> bool:
    """Whether the object `body` has the member `name` twice.

    Two readers of such a body may believe different things, for example which model it asks for.
    """
    quoted = b'"' + name + b'"'
    if body.count(quoted) < 2:
        return False
    found = 0
    at = body.find(quoted)
    while at >= 0:
        after = body[at + len(quoted) : at + len(quoted) + 64].lstrip()
        if after.startswith(b":") and _is_top_level(body[:at]):
            found += 1
            if found == 2:
                return True
        at = body.find(quoted, at + 1)
    return False


def _is_top_level(before: bytes) -> bool:
    parts = _unescaped(before).split(b'"')
    if len(parts) % 2 == 0:
        return False  # inside a string
    outside = b"".join(parts[::2])
    opened = outside.count(b"{") + outside.count(b"[")
    return opened - outside.count(b"}") - outside.count(b"]") == 1


def _outside_strings(body: bytes) -> bytes:
    return b"".join(_unescaped(body).split(b'"')[::2])


def _unescaped(body: bytes) -> bytes:
    return body.replace(b"\\\\", b"").replace(b'\\"', b"")
