"""The OpenAPI document of an internal API says how it refuses, too."""

from litestar import Litestar
from litestar.openapi.datastructures import ResponseSpec
from litestar.routes import HTTPRoute
from msgspec import UNSET, Struct, UnsetType

MEDIA_TYPE = "application/problem+json"


class Problem(Struct, frozen=True, kw_only=True):
    """RFC 9457, with the error's code and, where one is to blame, the field's name."""

    type: str
    status: int
    detail: str
    title: str | UnsetType = UNSET
    code: str | UnsetType = UNSET
    param: str | UnsetType = UNSET


_REFUSALS = {
    400: "A field is missing, unknown or out of range; `param` names it.",
    401: "No service token came, or not a right one, or what a person showed is wrong.",
    403: "The caller is known and may not do this.",
    404: "Nothing is there, or it is another account's.",
    409: "It contradicts what is already there.",
    429: "Too many tries; `retry-after` says when to come back.",
    503: "What it takes is not there for the moment; try again.",
}


def with_refusals(app: Litestar) -> Litestar:
    """`app`, whose document says of every operation of the API with which problems it may answer."""
    for route in app.routes:
        if not isinstance(route, HTTPRoute) or not route.path.startswith("/v1/"):
            continue
        for handler in route.route_handlers:
            handler.responses = {
                status: ResponseSpec(
                    data_container=Problem,
                    description=description,
                    media_type=MEDIA_TYPE,
                    generate_examples=False,
                )
                for status, description in _REFUSALS.items()
            } | dict(handler.responses or {})
    return app
