"""Every target by name."""

from collections.abc import Callable, Mapping

from bench.targets.aibridge import AIBridge
from bench.targets.direct import Direct
from bench.targets.hello import Hello
from bench.targets.nginx import Nginx
from bench.targets.target import Target

TARGETS: Mapping[str, Callable[[], Target]] = {
    Direct.name: Direct,
    Nginx.name: Nginx,
    AIBridge.name: AIBridge,
    Hello.name: Hello,
}

DEFAULT_TARGETS = (Direct.name, Nginx.name, AIBridge.name)
