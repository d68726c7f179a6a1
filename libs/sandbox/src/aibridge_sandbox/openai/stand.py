"""The stand-in OpenAI: its door and its paths."""

from aibridge_sandbox.call import Request, Route, Stand
from aibridge_sandbox.credential import bearer, standing
from aibridge_sandbox.openai.chat.endpoint import CHAT
from aibridge_sandbox.openai.embeddings import EMBEDDINGS
from aibridge_sandbox.openai.envelope import envelope
from aibridge_sandbox.openai.models import GET_MODEL, LIST_MODELS
from aibridge_sandbox.openai.responses.endpoint import RESPONSES
from aibridge_sandbox.refusal import Refusal
from aibridge_sandbox.settings import Settings

_POST = {
    "/v1/chat/completions": CHAT,
    "/v1/responses": RESPONSES,
    "/v1/embeddings": EMBEDDINGS,
}
_MODEL = "/v1/models/"


def _authenticate(request: Request, settings: Settings) -> str:
    key = bearer(request.header("authorization"))
    if not key:
        raise Refusal(
            401,
            "You didn't provide an API key. You need to provide your API key in an Authorization "
            "header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
        )
    match standing(key, settings):
        case "good":
            return key
        case "bad":
            shown = f"{key[:3]}****{key[-4:]}"
            raise Refusal(
                401,
                f"Incorrect API key provided: {shown}. You can find your API key at "
                "https://platform.openai.com/account/api-keys.",
            )
        case "unfunded":
            raise Refusal(
                429,
                "You exceeded your current quota, please check your plan and billing details.",
                kind="insufficient_quota",
                code="insufficient_quota",
            )


def _route(request: Request) -> Route:
    path = request.path
    if request.method == "POST" and path in _POST:
        return Route(endpoint=_POST[path])
    if request.method == "GET" and path == "/v1/models":
        return Route(endpoint=LIST_MODELS)
    if request.method == "GET" and path.startswith(_MODEL):
        return Route(endpoint=GET_MODEL, model_id=path.removeprefix(_MODEL))
    if path in _POST:
        message = f"Not allowed to {request.method} on {path}."
        raise Refusal(405, message, code="method_not_supported")
    raise Refusal(404, f"Invalid URL ({request.method} {path})")


OPENAI = Stand(name="openai", authenticate=_authenticate, route=_route, envelope=envelope)
