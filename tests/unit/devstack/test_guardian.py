"""The guardian ends what a dead supervisor left, politely first."""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from .fake.running import none_alive, until

POLITE = "trap 'echo polite >> $0; exit 0' INT; echo up >> $0; while :; do sleep 0.05; done"
STUBBORN = "trap '' TERM; echo up >> $0; while :; do sleep 0.05; done"
SUPERVISOR = textwrap.dedent("""
    import subprocess, sys, time
    from pathlib import Path
    from aibridge_devstack.guardian import Guardian
    polite, stubborn, notes, sign = sys.argv[1:]
    with Guardian(sign_of_life=Path(sign), patience_s=0.5) as guardian:
        for script, number in ((polite, 2), (stubborn, 15)):
            child = subprocess.Popen(["/bin/sh", "-c", script, notes], start_new_session=True)
            guardian.watch(child.pid, number)
            print(child.pid)
        print(guardian.pid, flush=True)
        time.sleep(600)
""")


def test_after_sigkill(tmp_path: Path) -> None:
    """Each group gets its own signal, one that ignores it is killed, the sign of life is gone."""
    notes, sign = tmp_path / "notes", tmp_path / "sign"
    sign.touch()
    arguments = [POLITE, STUBBORN, str(notes), str(sign)]
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, *arguments], stdout=subprocess.PIPE, text=True
    ) as supervisor:
        assert supervisor.stdout is not None
        pids = [int(supervisor.stdout.readline()) for _ in range(3)]
        until(lambda: notes.exists() and notes.read_text().count("up") == 2)
        supervisor.send_signal(signal.SIGKILL)
    until(lambda: none_alive(pids), within_s=12)

    assert "polite" in notes.read_text()
    assert not sign.exists()
