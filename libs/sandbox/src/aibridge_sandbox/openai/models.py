from typing import Any

import msgspec

from aibridge_sandbox.call import Call, Endpoint
from aibridge_sandbox.openai.envelope import openai_headers
from aibridge_sandbox.refusal import Refusal
from aibridge_sandbox.reply.frame import Reply, whole
from aibridge_sandbox.world.catalogue import Model
from aibridge_sandbox.world.usage import Usage

_CREATED_S = 1_767_225_600


def _described(model: Model) -> dict[str, Any]:
    return {"id": model.id, "object": "model", "created": _CREATED_S, "owned_by": "system"}


def _json(call: Call, body: dict[str, Any]) -> Reply:
    data = msgspec.json.encode(body)
    return whole(data, prompt=Usage(), reports=False, headers=openai_headers(call.mint))


def _list(call: Call) -> Reply:
    models = [_described(model) for model in call.world.catalogue.of(call.vendor)]
    return _json(call, {"object": "list", "data": models})


def _get(call: Call) -> Reply:
    model = call.model
    if model is None:
        message = f"The model '{call.model_id}' does not exist"
        raise Refusal(404, message, param="model", code="model_not_found")
    return _json(call, _described(model))


LIST_MODELS = Endpoint(name="models", reply=_list, has_body=False)
GET_MODEL = Endpoint(name="models", reply=_get, has_body=False)
