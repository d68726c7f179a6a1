"""The stand-in Google: its door and its paths."""

import re

from aibridge_sandbox.call import Request, Route, Stand
from aibridge_sandbox.credential import bearer, standing
from aibridge_sandbox.google.checks import check_compatible
from aibridge_sandbox.google.endpoint import COUNT_TOKENS, GENERATE
from aibridge_sandbox.google.envelope import COMPATIBLE, envelope
from aibridge_sandbox.google.models import GET_MODEL, LIST_MODELS
from aibridge_sandbox.openai.chat.endpoint import compatible
from aibridge_sandbox.openai.models import LIST_MODELS as LIST_COMPATIBLE
from aibridge_sandbox.refusal import Refusal
from aibridge_sandbox.settings import Settings

_METHODS = {
    "generateContent": (GENERATE, False),
    "streamGenerateContent": (GENERATE, True),
    "countTokens": (COUNT_TOKENS, False),
}
_CHAT = compatible(check_compatible)
_MODELS = re.compile(r"/v1(?:beta)?/models(?:/([^/:]+))?(?::(\w+))?")


def _authenticate(request: Request, settings: Settings) -> str:
    key = (
        request.header("x-goog-api-key")
        or request.query.get("key", "")
        or bearer(request.header("authorization"))
    )
    if not key:
        raise Refusal(
            403,
            "Method doesn't allow unregistered callers (callers without established identity). "
            "Please use API Key or other form of API consumer identity to call this API.",
        )
    match standing(key, settings):
        case "good":
            return key
        case "bad":
            raise Refusal(
                400,
                "API key not valid. Please pass a valid API key.",
                details=[
                    {
                        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                        "reason": "API_KEY_INVALID",
                        "domain": "googleapis.com",
                    }
                ],
            )
        case "unfunded":
            raise Refusal(
                429,
                "You exceeded your current quota, please check your plan and billing details.",
                details=[
                    {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37s"}
                ],
                headers=(("retry-after", "37"),),
            )


def _route(request: Request) -> Route:
    path = request.path
    if path.startswith(COMPATIBLE):
        if (request.method, path) == ("POST", f"{COMPATIBLE}chat/completions"):
            return Route(endpoint=_CHAT)
        if (request.method, path) == ("GET", f"{COMPATIBLE}models"):
            return Route(endpoint=LIST_COMPATIBLE)
    found = _MODELS.fullmatch(path)
    if found is not None:
        model_id, method = found.groups()
        if request.method == "POST" and model_id and method in _METHODS:
            endpoint, stream = _METHODS[method]
            return Route(endpoint=endpoint, model_id=model_id, stream=stream)
        if request.method == "GET" and method is None:
            if model_id is None:
                return Route(endpoint=LIST_MODELS)
            return Route(endpoint=GET_MODEL, model_id=model_id)
    raise Refusal(404, f"The requested URL {path} was not found on this server.")


GOOGLE = Stand(name="google", authenticate=_authenticate, route=_route, envelope=envelope)
