"""Our rules for the manifests, the compose file and the images. `python -m deploy.check` runs them all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

Document = Mapping[str, Any]
"""One object of a YAML file."""

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("gateway", "auth", "router", "billing")
GRACE_S = 640
"""What a service gets to drain: 10 s until no request comes any more, 600 s for the streams that run,
and 30 s to write and hand over their usage."""
