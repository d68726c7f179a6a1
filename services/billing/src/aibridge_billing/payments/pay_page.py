"""The page on which a sandbox order is paid. Whoever has its address may; no money moves."""

import base64
import hashlib
from html import escape
from typing import Annotated, Any

from litestar import MediaType, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath
from msgspec import Struct

from aibridge_billing.orders.store import find_order
from aibridge_billing.payments.desk import PaymentDesk
from aibridge_billing.payments.sandbox import Sandbox, SandboxPayment
from aibridge_common.db.engine import Database, transaction
from aibridge_common.errors import NotFound

FORM_BYTES_MAX = 1024

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:0;background:#f4f5f7;color:#1c2430}
main{max-width:26rem;margin:12vh auto;padding:2rem;background:#fff;border-radius:12px;box-shadow:0 2px 16px #0001}
h1{font-size:1.1rem;margin:0 0 1rem}p.amount{font-size:2.2rem;margin:.5rem 0;font-variant-numeric:tabular-nums}
p.note{color:#5b6675;font-size:.875rem}code{font-size:1rem}
button{font:inherit;padding:.7rem 1.4rem;border:0;border-radius:8px;cursor:pointer;margin:1rem .5rem 0 0}
button:focus-visible{outline:3px solid #8ab4ff}
.pay{background:#1459d9;color:#fff}.no{background:#e6e9ee;color:#1c2430}
@media(prefers-color-scheme:dark){body{background:#12161c;color:#e8ecf2}main{background:#1c222b}p.note{color:#9aa6b5}
.no{background:#2c3542;color:#e8ecf2}}
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS = {
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
}

_WORDS = {
    "en": {
        "title": "Sandbox payment",
        "order": "Order",
        "note": "This is a trial installation: no money moves.",
        "pay": "Pay",
        "no": "Decline",
        "paid": "Paid. The tokens are on the account.",
        "declined": "Declined. Nothing was bought.",
        "missing": "There is no such payment.",
    },
    "zh": {
        "title": "沙盒支付",
        "order": "订单",
        "note": "这是试用环境。不会发生真实扣款。",
        "pay": "支付",
        "no": "拒绝",
        "paid": "支付成功。代币已到账。",
        "declined": "已拒绝。未购买任何内容。",
        "missing": "没有这笔支付。",
    },
}
_NO_MINOR_UNIT = frozenset(
    (
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "JPY",
        "KMF",
        "KRW",
        "MGA",
        "PYG",
        "RWF",
        "UGX",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    )
)
"""Currencies whose amounts are whole (docs.stripe.com/currencies#zero-decimal)."""


class Choice(Struct, frozen=True):
    """The pressed button."""

    choice: str = ""


@get("/pay/{token:str}", operation_id="ShowSandboxPayment", tags=["payments"])
async def show_payment(
    token: FromPath[str],
    request: Request[Any, Any, Any],
    sandbox: NamedDependency[Sandbox | None],
) -> Response[str]:
    """The payment with its two buttons, or what became of it."""
    return _page(await _shown(sandbox, token), _language(request))


@post(
    "/pay/{token:str}",
    operation_id="ChooseSandboxPayment",
    tags=["payments"],
    status_code=200,
    request_max_body_size=FORM_BYTES_MAX,
)
async def choose_payment(
    token: FromPath[str],
    request: Request[Any, Any, Any],
    data: Annotated[Choice, Body(media_type=RequestEncodingType.URL_ENCODED)],
    sandbox: NamedDependency[Sandbox | None],
    desk: NamedDependency[PaymentDesk],
    database: NamedDependency[Database],
) -> Response[str]:
    """Pay or decline; then billing asks the sandbox what became of it, as it would ask a provider elsewhere."""
    payment = await _shown(sandbox, token)
    if payment is not None and sandbox is not None and data.choice in ("pay", "decline"):
        await sandbox.choose(token, pay=data.choice == "pay")
        async with transaction(database) as tx:
            try:
                order = await find_order(tx, payment.order_no)
            except NotFound:
                order = None
        if order is not None:
            await desk.look(order)
        payment = await _shown(sandbox, token)
    return _page(payment, _language(request))


async def _shown(sandbox: Sandbox | None, token: str) -> SandboxPayment | None:
    return None if sandbox is None else await sandbox.shown(token)


def _language(request: Request[Any, Any, Any]) -> str:
    asked = request.query_params.get("lang") or request.headers.get("accept-language", "")
    return "zh" if asked.lower().startswith("zh") else "en"


def _page(payment: SandboxPayment | None, language: str) -> Response[str]:
    words = _WORDS[language]
    if payment is None:
        body = f"<p>{words['missing']}</p>"
    else:
        body = (
            f"<p>{words['order']} <code>{escape(payment.order_no)}</code></p>"
            f'<p class="amount">{money(payment.amount_minor, payment.currency)}</p>'
        ) + (
            f'<form method="post"><button class="pay" name="choice" value="pay">{words["pay"]}</button>'
            f'<button class="no" name="choice" value="decline">{words["no"]}</button></form>'
            if payment.state == "open"
            else f'<p role="status">{words[payment.state]}</p>'
        )
    return Response(
        f'<!doctype html><html lang="{language}"><meta charset="utf-8"><title>{words["title"]}</title>'
        '<meta name="viewport" content="width=device-width"><style>' + _STYLE + "</style>"
        f'<main><h1>{words["title"]}</h1>{body}<p class="note">{words["note"]}</p></main></html>',
        media_type=MediaType.HTML,
        status_code=200 if payment is not None else 404,
        headers=HEADERS,
    )


def money(amount_minor: int, currency: str) -> str:
    """An amount as people write it."""
    if currency in _NO_MINOR_UNIT:
        return f"{amount_minor} {escape(currency)}"
    whole, rest = divmod(amount_minor, 100)
    return f"{whole}.{rest:02d} {escape(currency)}"
