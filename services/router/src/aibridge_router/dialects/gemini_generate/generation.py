"""`generationConfig`: limits, sampling and stop sequences."""

from aibridge_router.canonical.losses import CannotSay, Losses
from aibridge_router.canonical.profile import Profile
from aibridge_router.canonical.request import Request, Sampling
from aibridge_router.dialects.gemini_generate.wire import GenerationConfig, Wire

_TEMPERATURE_MAX = 2.0
_MEMBERS = (
    ("temperature", "temperature"),
    ("top_p", "topP"),
    ("top_k", "topK"),
    ("presence_penalty", "presencePenalty"),
    ("frequency_penalty", "frequencyPenalty"),
)


def sampling_from_wire(config: GenerationConfig) -> Sampling:
    """Google's own client sends `topK` as a float."""
    return Sampling(
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=int(config.top_k) if config.top_k is not None else None,
        seed=config.seed,
        presence_penalty=config.presence_penalty,
        frequency_penalty=config.frequency_penalty,
    )


def logprobs_from_wire(config: GenerationConfig) -> int | None:
    """How many alternatives, 0 for the chosen word only; None where none were asked for."""
    return config.logprobs or 0 if config.response_logprobs else None


def generation_to_wire(request: Request, profile: Profile, losses: Losses) -> Wire:
    """Everything but thinking and the output's form. Raises `CannotSay`."""
    if request.choices > 1:
        raise CannotSay("one choice at a time can be converted", param="n")
    if request.logprobs is not None:
        raise CannotSay("log probabilities cannot be converted", param="logprobs")
    config: Wire = {}
    if request.output_tokens_max is not None:
        config["maxOutputTokens"] = min(request.output_tokens_max, profile.max_output_tokens)
    stops = [stop for stop in request.stop if stop]
    if len(stops) > profile.capabilities.stop_max:
        limit = profile.capabilities.stop_max
        raise CannotSay(f"{profile.upstream_model} takes {limit} stop sequences", param="stop")
    if stops:
        config["stopSequences"] = stops
    config |= _sampling_to_wire(request.sampling, profile, losses)
    return config


def _sampling_to_wire(sampling: Sampling, profile: Profile, losses: Losses) -> Wire:
    config: Wire = {}
    for name, member in _MEMBERS:
        value = getattr(sampling, name)
        if value is not None:
            config[member] = value
    if config and not profile.capabilities.sampling:
        losses.drop("sampling")
        config = {}
    temperature = sampling.temperature
    if "temperature" in config and temperature is not None:
        config["temperature"] = min(temperature, _TEMPERATURE_MAX)
    if sampling.seed is not None:
        config["seed"] = sampling.seed
    return config
