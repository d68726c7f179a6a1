"""OpenAI's own words for what is wrong with a request."""

from typing import Any

from aibridge_sandbox.refusal import Refusal


def unknown(param: str) -> Refusal:
    """A field that nobody knows."""
    message = f"Unknown parameter: '{param}'."
    return Refusal(400, message, param=param, code="unknown_parameter")


def missing(param: str) -> Refusal:
    """A field that is absent."""
    message = f"Missing required parameter: '{param}'."
    return Refusal(400, message, param=param, code="missing_required_parameter")


def invalid(param: str, message: str, code: str = "invalid_value") -> Refusal:
    """Anything else, in a sentence."""
    return Refusal(400, message, param=param, code=code)


def not_one_of(param: str, value: Any, words: tuple[str, ...]) -> Refusal:
    """A word outside the vocabulary."""
    listed = ", ".join(f"'{word}'" for word in words[:-1])
    message = f"Invalid value: '{value}'. Supported values are: {listed} and '{words[-1]}'."
    return Refusal(400, message, param=param, code="invalid_value")


def wrong_type(param: str, expected: str) -> Refusal:
    """JSON of another type."""
    message = f"Invalid type for '{param}': expected {expected}."
    return Refusal(400, message, param=param, code="invalid_type")


def unsupported_parameter(param: str, instead: str = "") -> Refusal:
    """A field this model does not take."""
    message = f"Unsupported parameter: '{param}' is not supported with this model.{instead}"
    return Refusal(400, message, param=param, code="unsupported_parameter")


def unsupported_value(param: str, value: Any) -> Refusal:
    """A value this model does not take."""
    message = (
        f"Unsupported value: '{param}' does not support {value} with this model. "
        "Only the default (1) value is supported."
    )
    return Refusal(400, message, param=param, code="unsupported_value")


def array_too_long(param: str, longest: int, length: int) -> Refusal:
    """More items than allowed."""
    message = (
        f"Invalid '{param}': array too long. Expected an array with maximum length {longest}, "
        f"but got an array with length {length} instead."
    )
    return Refusal(400, message, param=param, code="array_above_max_length")


def array_empty(param: str) -> Refusal:
    """No item where one is needed."""
    message = (
        f"Invalid '{param}': empty array. Expected an array with minimum length 1, "
        "but got an empty array instead."
    )
    return Refusal(400, message, param=param, code="empty_array")


def out_of_range(param: str, value: float, low: float, high: float) -> Refusal:
    """A number below or above its limits."""
    if value > high:
        message = f"Expected a value <= {high:g}, but got {value:g} instead."
        return invalid(
            param,
            f"Invalid '{param}': decimal above maximum value. {message}",
            "decimal_above_max_value",
        )
    message = f"Expected a value >= {low:g}, but got {value:g} instead."
    return invalid(
        param,
        f"Invalid '{param}': decimal below minimum value. {message}",
        "decimal_below_min_value",
    )


def too_long(param: str, longest: int, length: int) -> Refusal:
    """More characters than allowed."""
    message = (
        f"Invalid '{param}': string too long. Expected a string with maximum length {longest}, "
        f"but got a string with length {length} instead."
    )
    return Refusal(400, message, param=param, code="string_above_max_length")


def context_exceeded(tokens_max: int, tokens: int) -> Refusal:
    """A prompt larger than the model's window."""
    message = (
        f"This model's maximum context length is {tokens_max} tokens. However, your messages "
        f"resulted in {tokens} tokens. Please reduce the length of the messages."
    )
    return Refusal(400, message, param="messages", code="context_length_exceeded")
