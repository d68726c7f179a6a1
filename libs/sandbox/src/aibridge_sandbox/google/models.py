from typing import Any

import msgspec

from aibridge_sandbox.call import Call, Endpoint
from aibridge_sandbox.google.checks import known_model
from aibridge_sandbox.reply.frame import Reply, whole
from aibridge_sandbox.world.catalogue import Model
from aibridge_sandbox.world.usage import Usage


def _described(model: Model) -> dict[str, Any]:
    return {
        "name": f"models/{model.id}",
        "baseModelId": model.id,
        "version": "001",
        "displayName": model.id.replace("-", " ").title(),
        "description": "A stand-in of the AI-Bridge sandbox.",
        "inputTokenLimit": model.context_tokens,
        "outputTokenLimit": model.output_tokens_max,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
        "temperature": 1,
        "maxTemperature": 2,
        "thinking": model.thinking != "none",
    }


def _list(call: Call) -> Reply:
    models = [_described(model) for model in call.world.catalogue.of("google")]
    return whole(msgspec.json.encode({"models": models}), prompt=Usage(), reports=False)


def _get(call: Call) -> Reply:
    body = _described(known_model(call))
    return whole(msgspec.json.encode(body), prompt=Usage(), reports=False)


LIST_MODELS = Endpoint(name="models", reply=_list, has_body=False)
GET_MODEL = Endpoint(name="models", reply=_get, has_body=False)
