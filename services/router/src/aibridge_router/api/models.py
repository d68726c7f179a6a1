"""Model lists in the shape each client expects."""

from collections.abc import Sequence

import msgspec

from aibridge_common.catalog import Model
from aibridge_common.dialect import Dialect, Surface
from aibridge_common.errors import ModelNotFound
from aibridge_router.catalog.registry import Registry

_EPOCH = "2024-01-01T00:00:00Z"
_EPOCH_S = 1_704_067_200
_OPENAI_DIALECTS = frozenset({Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES})


def list_models(
    registry: Registry, surface: Surface, *, native: bool, only: Sequence[str] | None = None
) -> bytes:
    """All models as a JSON document. The native list carries Codex's `models` beside OpenAI's `data`."""
    models = _visible(registry, native, only)
    if surface is Surface.ANTHROPIC:
        ids = [model.id for model in models]
        return msgspec.json.encode(
            {
                "data": [_anthropic(model) for model in models],
                "has_more": False,
                "first_id": ids[0] if ids else None,
                "last_id": ids[-1] if ids else None,
            }
        )
    if surface is Surface.GEMINI:
        return msgspec.json.encode({"models": [_gemini(model) for model in models]})
    document: dict[str, object] = {
        "object": "list",
        "data": [_openai(model) for model in models],
    }
    if native:
        document["models"] = [_codex(model, place) for place, model in enumerate(models)]
    return msgspec.json.encode(document)


def one_model(
    registry: Registry,
    surface: Surface,
    name: str,
    *,
    native: bool,
    only: Sequence[str] | None = None,
) -> bytes:
    """One model as a JSON document. Raises `ModelNotFound`."""
    model = registry.find(name)
    if model not in _visible(registry, native, only):
        raise ModelNotFound(f"model: {name}", param="model")
    shape = {Surface.ANTHROPIC: _anthropic, Surface.GEMINI: _gemini, Surface.OPENAI: _openai}
    return msgspec.json.encode(shape[surface](model))


def _visible(registry: Registry, native: bool, only: Sequence[str] | None) -> list[Model]:
    models = registry.models
    if only is not None:
        allowed = registry.ids_of(only)
        models = [model for model in models if model.id in allowed]
    if not native:
        return models
    return [model for model in models if set(registry.provider_of(model).paths) <= _OPENAI_DIALECTS]


def _openai(model: Model) -> dict[str, object]:
    return {"id": model.id, "object": "model", "created": _EPOCH_S, "owned_by": model.provider}


def _anthropic(model: Model) -> dict[str, object]:
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.title,
        "created_at": _EPOCH,
        "max_input_tokens": model.context_tokens,
        "max_tokens": model.max_output_tokens,
        "lifecycle": "active",
    }


def _gemini(model: Model) -> dict[str, object]:
    return {
        "name": f"models/{model.id}",
        "displayName": model.title,
        "inputTokenLimit": model.context_tokens,
        "outputTokenLimit": model.max_output_tokens,
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
    }


def _codex(model: Model, place: int) -> dict[str, object]:
    """Codex's own list; without any of these keys it falls back to its built-in one without a word."""
    return {
        "slug": model.id,
        "display_name": model.title,
        "description": model.strength,
        "context_window": model.context_tokens,
        "supported_reasoning_levels": [],
        "shell_type": "shell_command",
        "visibility": "list",
        "supported_in_api": True,
        "priority": place,
        "base_instructions": "",
        "support_verbosity": False,
        "truncation_policy": {"mode": "tokens", "limit": 10_000},
        "experimental_supported_tools": [],
    }
