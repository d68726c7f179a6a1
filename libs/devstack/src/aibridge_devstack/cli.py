"""`aibridge-dev up | down | status`."""

import argparse
import os
import sys

from aibridge_devstack.down import down, status
from aibridge_devstack.echo import Echo
from aibridge_devstack.failure import StartFailed
from aibridge_devstack.foreground import KILLED_EXIT_CODE
from aibridge_devstack.home import Home
from aibridge_devstack.up import up

_ENVIRONMENT = """\
environment:
  AIBRIDGE_HOME     data folder (default: .aibridge in this checkout)
  AIBRIDGE_PORT     the gateway's port (default: 3001)
  AIBRIDGE_CATALOG  a catalogue of your own, TOML
  ANTHROPIC_API_KEY, OPENAI_API_KEY, GEMINI_API_KEY
                    with a key the real vendor is used, without it a stand-in
"""


def main() -> None:
    """Entry point; exit code 1 comes with the reason on stderr."""
    parser = argparse.ArgumentParser(
        prog="aibridge-dev",
        description="Run all of AI-Bridge on this machine.",
        epilog=_ENVIRONMENT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("up", help="start everything, in the foreground, until Ctrl-C")
    starting.add_argument(
        "--with-llm", action="store_true", help="and a tiny real language model (make demo)"
    )
    commands.add_parser("down", help="stop the stack that runs in this home")
    commands.add_parser("status", help="say whether it runs (exit code 0 if it does)")
    try:
        sys.exit(_run(parser.parse_args()))
    except StartFailed as failure:
        print(f"\n{failure}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(KILLED_EXIT_CODE)


def _run(arguments: argparse.Namespace) -> int:
    command: str = arguments.command
    if command == "up":
        return up(os.environ, Echo(), llm=arguments.with_llm)
    home = Home.of(os.environ)
    if command == "down":
        print(down(home))
        return 0
    runs, words = status(home)
    print(words)
    return 0 if runs else 1
