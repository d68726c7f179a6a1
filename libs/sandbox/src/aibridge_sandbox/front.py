"""The way of every vendor call: hear, script, answer, deliver, write down the truth."""

import asyncio
import hashlib
import logging
from typing import Any

import msgspec
from litestar.types import Receive, Scope, Send

from aibridge_sandbox.call import Call, Request, Route, Stand, read_request
from aibridge_sandbox.clock import now_s
from aibridge_sandbox.refusal import Refusal
from aibridge_sandbox.reply.delivery import Delivered, Delivery
from aibridge_sandbox.reply.frame import Frame, Reply
from aibridge_sandbox.reply.garbage import spoiled
from aibridge_sandbox.reply.wire import Wire
from aibridge_sandbox.script import Script, StreamError, find_directives
from aibridge_sandbox.shape import as_str
from aibridge_sandbox.world.journal import Entry
from aibridge_sandbox.world.rules import Subject
from aibridge_sandbox.world.world import World

_JSON = msgspec.json.Decoder(dict[str, Any])
_LOGGER = logging.getLogger("aibridge_sandbox")
_LOGGED_BODY_BYTES_MAX = 262_144


class Exchange:
    """One request at one stand-in vendor, from its first byte to its line in the log."""

    def __init__(self, stand: Stand, world: World, request: Request) -> None:
        self._stand = stand
        self._world = world
        self._request = request
        self._mint = world.identity.mint()
        self._subject = Subject(vendor=stand.name, endpoint="", model="", key="", stream=False)
        self._script = Script()

    async def serve(self, wire: Wire) -> None:
        """Answer, deliver, and write down what really went out."""
        started_s = now_s()
        try:
            reply = self._answer()
        except Refusal as refusal:
            reply = self._stand.envelope(refusal, self._request, self._mint)
        except Exception as bug:  # a bug of ours shows as the vendor's 500, and in our own log
            _LOGGER.exception("the sandbox failed")
            refusal = Refusal(500, f"sandbox: {bug!r}")
            reply = self._stand.envelope(refusal, self._request, self._mint)
        reply = spoiled(reply, self._script)
        delivery = Delivery(wire, reply, self._script, self._world.settings.pace_ms)
        try:
            delivered = await delivery.run()
        except asyncio.CancelledError:
            self._write_down(started_s, delivery.reply, delivery.delivered("cut"))
            raise
        self._write_down(started_s, delivery.reply, delivered)

    def _answer(self) -> Reply:
        settings = self._world.settings
        self._subject = msgspec.structs.replace(
            self._subject, key=self._stand.authenticate(self._request, settings)
        )
        route = self._stand.route(self._request)
        body = self._read_body(route)
        model_id = as_str(body.get("model")) if route.model_id is None else route.model_id
        self._subject = msgspec.structs.replace(
            self._subject,
            endpoint=route.endpoint.name,
            model=model_id,
            stream=body.get("stream") is True if route.stream is None else route.stream,
        )
        directives, _ = find_directives(route.endpoint.tail(body))
        self._script = self._world.rules.effective(self._subject, directives)
        scripted = self._scripted(self._script)
        if scripted is not None:
            return scripted
        return route.endpoint.reply(
            Call(
                world=self._world,
                vendor=self._stand.name,
                endpoint=route.endpoint.name,
                request=self._request,
                key=self._subject.key,
                model_id=model_id,
                stream=self._subject.stream,
                body=body,
                script=self._script,
                mint=self._mint,
            )
        )

    def _read_body(self, route: Route) -> dict[str, Any]:
        if self._request.too_large:
            raise Refusal(413, "Request exceeds the maximum allowed number of bytes.")
        if not route.endpoint.has_body:
            return {}
        try:
            return _JSON.decode(self._request.body)
        except msgspec.MsgspecError as error:
            raise Refusal(400, f"We could not parse the JSON body of your request: {error}") from (
                error
            )

    def _scripted(self, script: Script) -> Reply | None:
        """The answer a script puts in place of any other; None lets the vendor answer."""
        status = script.status
        error = script.error
        if status is None and script.body is None:
            if error is None or self._subject.stream:
                return None
            message = error.message if isinstance(error, StreamError) else "Overloaded"
            raise Refusal(529 if self._stand.name == "anthropic" else 503, message)
        if script.body is None:
            raise Refusal(status or 500, "The sandbox was told to fail.")
        if isinstance(script.body, str):
            data, content_type = script.body.encode(), _guess_type(script.body)
        else:
            data, content_type = msgspec.json.encode(script.body), "application/json"
        frame = Frame(data=data, terminal=True)
        return Reply(status=status or 200, content_type=content_type, frames=(frame,))

    def _write_down(self, at_s: float, reply: Reply, delivered: Delivered) -> None:
        request = self._request
        sent = reply.frames[: delivered.frames_sent]
        self._world.journal.write(
            Entry(
                at=at_s,
                vendor=self._stand.name,
                endpoint=self._subject.endpoint,
                model=self._subject.model,
                stream=self._subject.stream,
                request_id=request.header("x-client-request-id"),
                key_last4=self._subject.key[-4:],
                status=delivered.status,
                outcome=delivered.outcome,
                usage=reply.truth(delivered.frames_sent),
                events_sent=delivered.events_sent,
                reported=any(frame.reports for frame in sent),
                headers=request.headers,
                body_sha256=hashlib.sha256(request.body).hexdigest(),
                body=request.body[:_LOGGED_BODY_BYTES_MAX].decode("utf-8", "replace"),
            )
        )


def _guess_type(text: str) -> str:
    if text.lstrip().startswith(("{", "[")):
        return "application/json"
    return "text/html; charset=utf-8" if "<html" in text else "text/plain; charset=utf-8"


async def serve(stand: Stand, world: World, scope: Scope, receive: Receive, send: Send) -> None:
    """One request at one vendor; nothing is answered before it is read to its end."""
    request = await read_request(scope, receive, world.settings.body_bytes_max)
    await Exchange(stand, world, request).serve(Wire(scope, receive, send))
