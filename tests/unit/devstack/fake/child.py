"""A child for the supervisor's tests. argv: its port, a file for its notes, then what it does."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from socket import create_server

port, notes, *habits = sys.argv[1:]


def note(event: str) -> None:
    with Path(notes).open("a", encoding="utf-8") as file:
        file.write(f"{event}\n")


def stopped(number: int, _: object) -> None:
    note(f"{port} got {signal.Signals(number).name}")
    if "stubborn" not in habits:
        if "rude" in habits:  # as uvicorn does: the signal itself ends it, with code -15
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        sys.exit(0)


for name in (signal.SIGTERM, signal.SIGINT):
    signal.signal(name, stopped)
if "parent" in habits:
    grandchild = subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL)
    note(f"grandchild {grandchild.pid}")
note(f"{port} started as {os.getpid()}")
sys.stdout.write("here I am\n")
sys.stdout.flush()
if "crash" in habits:
    sys.exit("I never work")
with create_server(("127.0.0.1", int(port))) as server:
    if "once" in habits:
        time.sleep(0.3)
        habits.remove("once")
        sys.exit(7)
    while True:
        with contextlib.suppress(OSError), server.accept()[0] as client:
            client.recv(1000)
            client.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
