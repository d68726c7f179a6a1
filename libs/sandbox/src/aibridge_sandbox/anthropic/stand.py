"""The stand-in Anthropic: its door and its paths."""

from aibridge_sandbox.anthropic.checks import known_model
from aibridge_sandbox.anthropic.envelope import COMPATIBLE_PATH, envelope
from aibridge_sandbox.anthropic.messages import COUNT_TOKENS, MESSAGES
from aibridge_sandbox.anthropic.models import GET_MODEL, LIST_MODELS
from aibridge_sandbox.call import Call, Request, Route, Stand
from aibridge_sandbox.credential import bearer, standing
from aibridge_sandbox.openai.chat.endpoint import compatible
from aibridge_sandbox.refusal import Refusal
from aibridge_sandbox.settings import Settings

_VERSIONS = frozenset({"2023-01-01", "2023-06-01", "2026-10-21"})
_MODEL = "/v1/models/"


def _check_compatible(call: Call) -> None:
    known_model(call)


_POST = {
    "/v1/messages": MESSAGES,
    "/v1/messages/count_tokens": COUNT_TOKENS,
    COMPATIBLE_PATH: compatible(_check_compatible),
}


def _authenticate(request: Request, settings: Settings) -> str:
    own = request.header("x-api-key")
    key = own or bearer(request.header("authorization"))
    if not key:
        raise Refusal(401, "x-api-key header is required")
    match standing(key, settings):
        case "good":
            return key
        case "bad":
            raise Refusal(401, "invalid x-api-key" if own else "Invalid bearer token")
        case "unfunded":
            raise Refusal(
                400,
                "Your credit balance is too low to access the Anthropic API. "
                "Please go to Plans & Billing to upgrade or purchase credits.",
            )


def _route(request: Request) -> Route:
    path = request.path
    if path != COMPATIBLE_PATH:
        _check_version(request)
    if request.method == "POST" and path in _POST:
        return Route(endpoint=_POST[path])
    if request.method == "GET" and path == "/v1/models":
        return Route(endpoint=LIST_MODELS)
    if request.method == "GET" and path.startswith(_MODEL):
        return Route(endpoint=GET_MODEL, model_id=path.removeprefix(_MODEL))
    if path in _POST:
        raise Refusal(405, "Method Not Allowed")
    raise Refusal(404, "Not Found")


def _check_version(request: Request) -> None:
    version = request.header("anthropic-version")
    if not version:
        raise Refusal(400, "anthropic-version: header is required")
    if version not in _VERSIONS:
        raise Refusal(400, f'anthropic-version: "{version}" is not a valid version')


ANTHROPIC = Stand(name="anthropic", authenticate=_authenticate, route=_route, envelope=envelope)
