"""`aibridge-gateway`: serve."""

import argparse
import os
import sys

from aibridge_common.errors import AIBridgeError
from aibridge_common.settings import load
from aibridge_common.telemetry.log import configure
from aibridge_common.web.drain import Drain
from aibridge_common.web.serve import Listen, serve, tune_garbage_collection
from aibridge_gateway.app import create_app
from aibridge_gateway.settings import PREFIX, Settings


def main() -> None:
    """Parse the command line and run one command."""
    parser = argparse.ArgumentParser(prog="aibridge-gateway", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="serve the public address")
    parser.parse_args()
    try:
        settings = load(Settings, os.environ, PREFIX)
        configure("gateway", settings.log_level)
        drain = Drain(settings.drain_s)
        app = create_app(settings, drain)
        tune_garbage_collection()
        serve(
            app,
            Listen.parse(settings.listen),
            tls_cert_file=settings.tls_cert_file,
            tls_key_file=settings.tls_key_file,
            drain=drain,
        )
    except (AIBridgeError, ValueError) as error:
        sys.exit(f"aibridge-gateway: {error}")
