"""Ends a Responses stream that passes through: what stands open is closed, and the response is incomplete."""

from typing import Any

import msgspec

from aibridge_common.usage import Usage
from aibridge_router.dialects.openai_responses.answer_out import usage_to_wire
from aibridge_router.sse import payloads

_TEXTS = {
    "response.output_text.delta": ("response.output_text.done", "text"),
    "response.refusal.delta": ("response.refusal.done", "refusal"),
    "response.function_call_arguments.delta": (
        "response.function_call_arguments.done",
        "arguments",
    ),
    "response.custom_tool_call_input.delta": ("response.custom_tool_call_input.done", "input"),
}
"""Deltas whose pieces the last events repeat as a whole: the event that does, and its member."""

KEPT_BYTES_MAX = 8 << 20
"""Of a longer stream the end is not told in full: the client has had all of it."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode
Wire = dict[str, Any]


class Passed:
    """What passed of a stream, kept as it came; it is read only if we must end it."""

    def __init__(self) -> None:
        self._frames: list[bytes] = []
        self._bytes = 0

    def keep(self, frames: bytes) -> None:
        """Some frames passed."""
        self._bytes += len(frames)
        if self._bytes <= KEPT_BYTES_MAX:
            self._frames.append(frames)

    def end_early(self, usage: Usage, number: int) -> bytes:
        """The last events; the first of them is number `number` of the stream."""
        response: Wire = {}
        items: dict[int, Wire] = {}
        done: set[int] = set()
        texts: dict[tuple[int, str], tuple[Wire, list[str]]] = {}
        for payload in payloads(b"".join(self._frames)):
            event = _decode(payload)
            kind, place = str(event.get("type", "")), int(event.get("output_index", -1))
            if isinstance(event.get("response"), dict):
                response = event["response"]
            if kind == "response.output_item.added":
                items[place] = event["item"]
            elif kind == "response.output_item.done":
                items[place] = event["item"]
                done.add(place)
            elif kind in _TEXTS and isinstance(event.get("delta"), str):
                key = (place, f"{kind} {event.get('content_index')}")
                texts.setdefault(key, (event, []))[1].append(event["delta"])
        said: list[Wire] = []
        for place, item in items.items():
            if place not in done:
                mine = [texts[key] for key in texts if key[0] == place]
                said += _closed(place, item, mine)
        items_told = [items[place] for place in sorted(items)]
        response |= {
            "status": "incomplete",
            "incomplete_details": {"reason": "max_output_tokens"},
            "output": items_told,
            "usage": msgspec.to_builtins(usage_to_wire(usage)),
        }
        said.append({"type": "response.incomplete", "response": response})
        return b"".join(
            b"event: %b\ndata: %b\n\n"
            % (
                event["type"].encode(),
                msgspec.json.encode(event | {"sequence_number": number + count}),
            )
            for count, event in enumerate(said)
        )


def _closed(place: int, item: Wire, texts: list[tuple[Wire, list[str]]]) -> list[Wire]:
    """The events that end an item whose end did not come, and the item as they leave it."""
    said: list[Wire] = []
    for delta, pieces in texts:
        kind, member = _TEXTS[str(delta["type"])]
        whole = "".join(pieces)
        event: Wire = {
            "type": kind,
            "item_id": delta.get("item_id"),
            "output_index": place,
            member: whole,
        }
        if "content_index" not in delta:
            item[member] = whole
            said.append(event | ({"name": item.get("name")} if member == "arguments" else {}))
            continue
        event["content_index"] = delta["content_index"]
        part: Wire = {"type": kind.split(".")[1], member: whole}
        if part["type"] == "output_text":
            part |= {"annotations": [], "logprobs": []}
            event["logprobs"] = []
        item.setdefault("content", []).append(part)
        said.append(event)
        said.append(
            {
                "type": "response.content_part.done",
                "item_id": delta.get("item_id"),
                "output_index": place,
                "content_index": delta["content_index"],
                "part": part,
            }
        )
    if "status" in item:
        item["status"] = "incomplete"
    said.append({"type": "response.output_item.done", "output_index": place, "item": item})
    return said
