"""Which text is an e-mail address here."""

from email.errors import MessageError
from email.headerregistry import Address

from aibridge_common.errors import InvalidRequest


def read_address(text: str) -> str:
    """The address in lower case: nobody means two people by two cases. Raises `InvalidRequest`."""
    email = text.strip().lower()
    try:
        parsed = Address(addr_spec=email)
        plain = email.isascii() and email.isprintable() and " " not in email and '"' not in email
    except (MessageError, ValueError, IndexError):
        plain, parsed = False, None
    if not plain or parsed is None or not parsed.username or "." not in parsed.domain:
        raise InvalidRequest("this is no e-mail address", param="email")
    return email
