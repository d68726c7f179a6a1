from typing import Any

from aibridge_sandbox.world.usage import Usage


def input_usage(usage: Usage) -> dict[str, Any]:
    """Anthropic counts cached tokens outside `input_tokens`."""
    return {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write_5m + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cache_read,
    }


def full_usage(usage: Usage) -> dict[str, Any]:
    """The usage object of a whole message and of `message_start`."""
    return {
        **input_usage(usage),
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": usage.generated,
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
        "service_tier": "standard",
    }


def delta_usage(usage: Usage) -> dict[str, Any]:
    """The cumulative usage of `message_delta`."""
    return {
        **input_usage(usage),
        "output_tokens": usage.generated,
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
    }
