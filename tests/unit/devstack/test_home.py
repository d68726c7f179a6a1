"""Where things live, and who may use them."""

import stat
from pathlib import Path

import pytest

from aibridge_devstack.credentials import load_credentials
from aibridge_devstack.failure import StartFailed
from aibridge_devstack.home import Home
from aibridge_devstack.lock import holder, only_stack


def test_given_home(tmp_path: Path) -> None:
    """AIBRIDGE_HOME wins and becomes absolute."""
    assert Home.of({"AIBRIDGE_HOME": str(tmp_path / "x")}).root == tmp_path / "x"


def test_default_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the data lives at the top of the checkout, from wherever in it one starts."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")

    assert Home.of({}).root == tmp_path / ".aibridge"


def test_socket_path_is_short(tmp_path: Path) -> None:
    """A deep home gets its sockets elsewhere, still in a private folder."""
    home = Home(root=tmp_path / ("x" * 80))
    home.create()
    socket = home.socket("router")

    assert len(str(socket)) < 100
    assert not socket.is_relative_to(home.root)
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    socket.parent.rmdir()


def test_foreign_socket_folder(tmp_path: Path) -> None:
    """A folder that others can enter is refused."""
    home = Home(root=tmp_path)
    (tmp_path / "run").mkdir(mode=0o777)
    (tmp_path / "run").chmod(0o777)

    with pytest.raises(StartFailed, match="not a private folder"):
        home.socket("router")


def test_lock(tmp_path: Path) -> None:
    """The holder is known while it holds; a file left behind locks nothing."""
    home = Home(root=tmp_path)
    (tmp_path / "lock").write_text("99999999")
    (tmp_path / "guardian.lock").touch()
    free = holder(home)
    with only_stack(home):
        held = holder(home)
        with pytest.raises(StartFailed, match="already runs"), only_stack(home):
            pass

    assert free is None
    assert held
    assert holder(home) is None


def test_credentials_are_drawn_once(tmp_path: Path) -> None:
    """They stay as they are; what an older file lacks is added."""
    file = tmp_path / "secrets.json"
    first = load_credentials(file)
    again = load_credentials(file)
    file.write_text('{"admin_password": "mine"}')
    added = load_credentials(file)

    assert first == again
    assert added.admin_password == "mine"
    assert load_credentials(file) == added
    assert len(bytes.fromhex(added.key_pepper)) == 32
