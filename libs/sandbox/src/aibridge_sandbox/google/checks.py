"""What strict mode refuses in a generateContent request."""

from typing import Any

from aibridge_sandbox.call import Call
from aibridge_sandbox.google.content_rules import check_contents
from aibridge_sandbox.google.names import camel, normalised
from aibridge_sandbox.google.prompt import segments
from aibridge_sandbox.google.tool_rules import check_tools
from aibridge_sandbox.google.words import unknown_name, wrong, wrong_field
from aibridge_sandbox.openai.chat.checks import FIELDS as CHAT_FIELDS
from aibridge_sandbox.refusal import Refusal
from aibridge_sandbox.reply.prompt_usage import count_prompt
from aibridge_sandbox.shape import as_dict, as_int, as_list, as_number, words
from aibridge_sandbox.world.catalogue import Model

_FIELDS = words(
    "cachedContent contents generationConfig labels model safetySettings serviceTier store "
    "systemInstruction toolConfig tools"
)
_CONFIG_FIELDS = words(
    "audioTimestamp audioTranscriptionConfig candidateCount enableAffectiveDialog "
    "enableEnhancedCivicAnswers frequencyPenalty imageConfig logprobs maxOutputTokens "
    "mediaResolution modelSelectionConfig presencePenalty responseFormat responseJsonSchema "
    "responseLogprobs responseMimeType responseModalities responseSchema routingConfig seed "
    "speechConfig stopSequences temperature thinkingConfig topK topP translationConfig"
)
_THINKING_FIELDS = frozenset({"includeThoughts", "thinkingBudget", "thinkingLevel"})
_STOPS_MAX = 5
_CHAT_EXTRA = frozenset({"extra_body"})


def known_model(call: Call) -> Model:
    """The model; in lenient mode any id is one."""
    if call.model is not None:
        return call.model
    if call.strict:
        raise Refusal(
            404,
            f"models/{call.model_id} is not found for API version v1beta, or is not supported "
            "for generateContent. Call ListModels to see the list of available models and their "
            "supported methods.",
        )
    return Model(id=call.model_id, vendor="google")


def check_compatible(call: Call) -> None:
    """The vendor's OpenAI endpoint: unknown fields are refused in Google's words."""
    known_model(call)
    if call.strict:
        for name in call.body:
            if name not in CHAT_FIELDS | _CHAT_EXTRA:
                raise unknown_name(name)


def check_request(call: Call) -> None:
    """Raise the 400 or 404 the vendor would answer with; lenient mode only wants a model."""
    model = known_model(call)
    if not call.strict:
        return
    _check_names(call.body, _FIELDS, "")
    config = call.body.get("generationConfig") or call.body.get("generation_config")
    _check_names(as_dict(config), _CONFIG_FIELDS, "generation_config")
    body = normalised(call.body)
    check_contents(body, model)
    check_tools(body)
    if "generationConfig" in body:
        _check_config(body, model)
    tokens = count_prompt(segments(body))
    if tokens > model.context_tokens:
        raise wrong(
            f"The input token count ({tokens}) exceeds the maximum number of tokens allowed "
            f"({model.context_tokens})."
        )


def _check_names(value: dict[str, Any], known: frozenset[str], where: str) -> None:
    for name in value:
        if camel(name) not in known:
            raise unknown_name(name, where)


def _check_config(body: dict[str, Any], model: Model) -> None:
    config = as_dict(body["generationConfig"])
    for name, high in (("temperature", 2.0), ("topP", 1.0)):
        number = as_number(config.get(name))
        if number is not None and not 0 <= number <= high:
            raise wrong_field(
                f"generation_config.{name}", f"{name} must be in the range [0.0, {high}]."
            )
    stops = as_list(config.get("stopSequences"))
    if len(stops) > _STOPS_MAX:
        raise wrong_field(
            "generation_config.stop_sequences",
            f"at most {_STOPS_MAX} stop sequences are allowed, got {len(stops)}.",
        )
    cap = config.get("maxOutputTokens")
    if cap is not None and not 1 <= (as_int(cap) or 0) <= model.output_tokens_max:
        raise wrong(
            f"Unable to submit request because it has a maxOutputTokens value of {cap} but the "
            f"supported range is from 1 (inclusive) to {model.output_tokens_max + 1} (exclusive). "
            "Update the value and try again."
        )
    _check_thinking(as_dict(config.get("thinkingConfig")), model)
    _check_format(body, config, model)


def _check_thinking(thinking: dict[str, Any], model: Model) -> None:
    _check_names(thinking, _THINKING_FIELDS, "generation_config.thinking_config")
    if not thinking:
        return
    if model.thinking == "none":
        raise wrong("Thinking is not enabled for this model.")
    level, budget = thinking.get("thinkingLevel"), thinking.get("thinkingBudget")
    if level is not None and budget is not None:
        raise wrong("You can only set only one of thinking budget and thinking level.")
    if level is not None and model.thinking != "level":
        raise wrong("Thinking level is not supported for this model.")
    if level is not None and str(level).lower() not in model.efforts:
        raise wrong(f"Thinking level {level} is not supported for this model.")


def _check_format(body: dict[str, Any], config: dict[str, Any], model: Model) -> None:
    is_json = config.get("responseMimeType") == "application/json"
    schema = config.get("responseSchema") or config.get("responseJsonSchema")
    if schema and not is_json:
        raise wrong("response_mime_type must be application/json when a response schema is set.")
    if is_json and body.get("tools") and model.thinking != "level":
        raise wrong("Function calling with a response mime type: 'application/json' is unsupported")
