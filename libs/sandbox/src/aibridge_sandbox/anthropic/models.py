from typing import Any

import msgspec

from aibridge_sandbox.anthropic.envelope import anthropic_headers
from aibridge_sandbox.call import Call, Endpoint
from aibridge_sandbox.refusal import Refusal
from aibridge_sandbox.reply.frame import Reply, whole
from aibridge_sandbox.world.catalogue import Model
from aibridge_sandbox.world.usage import Usage

_LIMIT_DEFAULT = 20
_LIMIT_MAX = 1_000


def _supported(supported: bool) -> dict[str, Any]:
    return {"supported": supported}


def _described(model: Model) -> dict[str, Any]:
    efforts = {effort: _supported(supported=True) for effort in model.efforts}
    thinking = model.thinking != "none"
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.id.replace("-", " ").title(),
        "created_at": "2026-01-01T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": model.context_tokens,
        "max_tokens": model.output_tokens_max,
        "capabilities": {
            "thinking": {
                "supported": thinking,
                "types": {
                    "adaptive": _supported(model.thinking == "adaptive"),
                    "enabled": _supported(model.thinking == "manual"),
                },
            },
            "effort": {"supported": bool(efforts), **efforts},
            "structured_outputs": _supported(model.structured),
            "image_input": _supported(supported=True),
            "pdf_input": _supported(supported=True),
        },
    }


def _json(call: Call, body: dict[str, Any]) -> Reply:
    data = msgspec.json.encode(body)
    return whole(data, prompt=Usage(), reports=False, headers=anthropic_headers(call.mint))


def _list(call: Call) -> Reply:
    models = call.world.catalogue.of("anthropic")
    after = call.request.query.get("after_id")
    ids = [model.id for model in models]
    if after in ids:
        models = models[ids.index(after) + 1 :]
    asked = call.request.query.get("limit", "")
    limit = int(asked) if asked.isdigit() else _LIMIT_DEFAULT
    if not 1 <= limit <= _LIMIT_MAX:
        raise Refusal(400, f"limit: Input should be between 1 and {_LIMIT_MAX}")
    page = models[:limit]
    body = {
        "data": [_described(model) for model in page],
        "has_more": len(models) > limit,
        "first_id": page[0].id if page else None,
        "last_id": page[-1].id if page else None,
    }
    return _json(call, body)


def _get(call: Call) -> Reply:
    if call.model is None:
        raise Refusal(404, f"model: {call.model_id}")
    return _json(call, _described(call.model))


LIST_MODELS = Endpoint(name="models", reply=_list, has_body=False)
GET_MODEL = Endpoint(name="models", reply=_get, has_body=False)
