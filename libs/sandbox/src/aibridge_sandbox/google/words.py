"""Google's own words for what is wrong with a request."""

from aibridge_sandbox.refusal import Refusal


def unknown_name(name: str, where: str = "") -> Refusal:
    """A field that nobody knows, with the details Google adds."""
    at = f" at '{where}'" if where else ""
    message = f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.'
    violation = {"description": message, **({"field": where} if where else {})}
    return Refusal(
        400,
        message,
        details=[
            {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}
        ],
    )


def wrong(message: str) -> Refusal:
    """A 400 in a sentence."""
    return Refusal(400, message)


def wrong_field(where: str, message: str) -> Refusal:
    """A 400 that names the place."""
    return Refusal(400, f"* GenerateContentRequest.{where}: {message}")
