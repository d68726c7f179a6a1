"""A catalogue whose vendors are the lanes of the upstream, as TOML.

Multipliers are those of a real model, so that credit is leased and charged at a real pace; the one
product is large enough that no run can use it up.
"""

from collections.abc import Mapping

from bench.lanes import Lane

VENDOR = """\
[[providers]]
name = "{lane.name}"
base_url = "http://127.0.0.1:{port}"
auth = "bearer"
keys = ["upstream-key"]
[providers.paths]
openai_chat = "/v1/chat/completions"
anthropic_messages = "/v1/messages"

[[models]]
id = "{lane.model}"
title = "Benchmark, {lane.name}"
provider = "{lane.name}"
context_tokens = 200_000
max_output_tokens = 16_384
multipliers = {{ input = "1", output = "4" }}

"""

PRODUCT = """\
[[products]]
id = "benchmark"
title = "Benchmark"
tokens = 1_000_000_000_000
price_minor = 0
currency = "USD"
"""


def catalog_of(upstream_ports: Mapping[Lane, int]) -> str:
    vendors = [VENDOR.format(lane=lane, port=port) for lane, port in upstream_ports.items()]
    return "".join([*vendors, PRODUCT])
