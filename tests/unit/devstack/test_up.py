"""`aibridge-dev up` as a process: real PostgreSQL and NATS, fakes for our own services."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

from .fake.running import fake_stack, none_alive, until

STOP_ORDER = ["gateway", "router", "billing", "auth", "sandbox"]


def dev(command: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("aibridge-dev"), command],
        env={**os.environ, "AIBRIDGE_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_start_and_stop(tmp_path: Path) -> None:
    """The record is there once everything answers; SIGTERM stops callers before the called."""
    home = tmp_path / "home"
    with fake_stack(home) as run:
        record = run.record()
        screen = run.said()
        code = run.stop()

    assert code == 0
    assert [f"stopped {name}" for name in STOP_ORDER] == run.events()[-5:]
    assert not (home / "dev.json").exists()
    assert none_alive(record.pids.values())
    assert record.base_url in screen
    assert f"authorization: Bearer {record.demo_key}" in screen
    assert record.vendors == {"anthropic": "sandbox", "openai": "sandbox", "google": "sandbox"}
    assert stat.S_IMODE((home / "secrets.json").stat().st_mode) == 0o600


def test_second_start_keeps_everything(tmp_path: Path) -> None:
    """Passwords, keys, ports and data stay; nothing is migrated or seeded twice for nothing."""
    home = tmp_path / "home"
    port = {"AIBRIDGE_PORT": "31998"}
    with fake_stack(home, **port) as run:
        first = run.record()
        assert run.stop(signal.SIGINT) == 0
        (home / "events").unlink()
    with fake_stack(home, **port) as run:
        second = run.record()

        assert json.dumps(second.pids) != json.dumps(first.pids)
        assert second.database_url == first.database_url
        assert second.demo_key == first.demo_key
        assert second.admin_password == first.admin_password
        assert not [event for event in run.events() if not event.startswith("serve ")]


def test_changed_catalogue_is_seeded_again(tmp_path: Path) -> None:
    """A vendor whose key is set, or written in the catalogue, is real and gets no stand-in."""
    home, catalog = tmp_path / "home", tmp_path / "catalog.toml"
    catalog.write_text(
        '[[providers]]\nname = "anthropic"\nkeys = ["env:MY_KEY"]\n'
        '[[providers]]\nname = "openai"\nkeys = ["sk-literal"]\n'
        '[[providers]]\nname = "elsewhere"\nkeys = ["env:OTHER_KEY"]\n'
    )
    with fake_stack(home, AIBRIDGE_CATALOG=str(catalog)) as run:
        played = run.record().vendors
        assert run.stop() == 0
    with fake_stack(home, AIBRIDGE_CATALOG=str(catalog), MY_KEY="sk-mine") as run:
        real = run.record().vendors
        seeds = [event for event in run.events() if event.startswith("--catalog")]

    assert played == {"anthropic": "sandbox", "openai": "real", "elsewhere": "nobody"}
    assert real == {"anthropic": "real", "openai": "real", "elsewhere": "nobody"}
    assert len(seeds) == 2
    assert "--stand-in anthropic=http://127.0.0.1:" in seeds[0]
    assert "--stand-in" not in seeds[1]


def test_with_a_language_model(tmp_path: Path) -> None:
    """It runs beside the stand-ins, is in the seeded catalogue, and the screen asks it; only when asked for."""
    home = tmp_path / "home"
    with fake_stack(home, FAKE_LLM="yes") as run:
        record = run.record()
        with_it = run.said()
        assert run.stop() == 0
    with fake_stack(home) as run:
        plain = run.record()
        without_it = run.said()
        seeds = [event for event in run.events() if event.startswith("--catalog")]

    assert record.vendors["tinyllm"] == "real"
    assert "tinyllm" in record.pids
    assert '"model": "smollm2-135m"' in with_it
    assert '"stream": true' in with_it
    assert (home / "catalog-with-llm.toml").name in seeds[0]
    assert "tinyllm" not in plain.pids
    assert '"model": "fake-model"' in without_it
    assert (home / "catalog-with-llm.toml").name not in seeds[1]


def test_killed_supervisor_leaves_nothing(tmp_path: Path) -> None:
    """After SIGKILL every child ends, and the next start on the same home does not wait for us."""
    home = tmp_path / "home"
    with fake_stack(home) as run:
        record = run.record()
        run.process.kill()
        run.process.wait()
        until(lambda: not (home / "dev.json").exists())
        with fake_stack(home) as again:
            renewed = again.record()
            assert none_alive(record.pids.values())
            assert renewed.demo_key == record.demo_key
            assert again.stop() == 0
    assert none_alive(renewed.pids.values())


def test_one_stack_per_home(tmp_path: Path) -> None:
    """A second start says who runs, `status` and `down` find it, and then it is gone."""
    home = tmp_path / "home"
    with fake_stack(home) as run:
        record = run.record()
        with fake_stack(home) as second:
            assert second.process.wait(10) == 1
        status = dev("status", home)
        down = dev("down", home)

        assert f"already runs in {home} (process {run.process.pid})" in second.said()
        assert (status.returncode, down.returncode) == (0, 0)
        assert f"gateway     {record.pids['gateway']}" in status.stdout
        assert run.process.wait(1) == 0
    assert dev("status", home).returncode == 1
    assert "Nothing runs" in dev("down", home).stdout


def test_taken_port(tmp_path: Path) -> None:
    """The message names the variable that helps; nothing is started."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with fake_stack(tmp_path / "home", AIBRIDGE_PORT=str(port)) as run:
            code = run.process.wait(10)

    assert code == 1
    assert f"Port {port} is taken by another program. Set AIBRIDGE_PORT" in run.said()
    assert not (run.home / "postgres").exists()


def test_broken_service(tmp_path: Path) -> None:
    """No record; the last lines of what would not start; everything else is stopped."""
    with fake_stack(tmp_path / "home", FAKE_BROKEN="billing") as run:
        code = run.process.wait(20)

    assert code == 1
    assert not (run.home / "dev.json").exists()
    assert "billing ended 3 times before it answered" in run.said()
    assert "billing | billing is broken" in run.said()
    assert "stopped gateway" in run.events()


def test_stop_while_starting(tmp_path: Path) -> None:
    """A signal in the middle of the start is a clean stop too."""
    with fake_stack(tmp_path / "home", FAKE_BROKEN="billing") as run:
        until(lambda: (run.home / "events").exists() and "serve gateway" in run.events())
        code = run.stop()

    assert code == 0


def test_repeated_sigterm_is_one(tmp_path: Path) -> None:
    """Told twice by a process group and its leader, it still stops in order."""
    with fake_stack(tmp_path / "home") as run:
        run.record()
        while run.process.poll() is None:
            run.process.send_signal(signal.SIGTERM)
            time.sleep(0.02)
        code = run.process.wait(10)

    assert code == 0
    assert [f"stopped {name}" for name in STOP_ORDER] == run.events()[-5:]


def test_crashed_service_comes_back(tmp_path: Path) -> None:
    """A killed child is restarted, and the record gets its new process id."""
    home = tmp_path / "home"
    with fake_stack(home) as run:
        before = run.record().pids
        os.kill(before["router"], signal.SIGKILL)
        until(lambda: run.record().pids["router"] != before["router"])
        after = run.record().pids

        assert {**before, "router": after["router"]} == after
        assert "router | ended unasked with code -9; starts again in 0.2 s" in run.said()
        assert run.stop() == 0
