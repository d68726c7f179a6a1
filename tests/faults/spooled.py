"""Rows 9 and 10: the router's disk is full, or what was written last cannot be read."""

import asyncio
import os
import subprocess
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from tests.faults.scene import Row, Scene, Skipped
from tests.faults.truth import INTERVAL_TOKENS, Bounds
from tests.fixtures.pair import Pair

DISK = "2m"
ROOM_NOTICED_S = 8.0


@contextmanager
def _tiny_disk(folder: Path) -> Generator[Path]:
    place = folder / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", place],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        raise Skipped(f"a disk of its own needs root: {mounted.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@asynccontextmanager
async def _pair(scene: Scene, folder: Path, name: str, spool: Path) -> AsyncGenerator[Pair]:
    pair = Pair(scene.stage.record, folder, name, spool)
    try:
        await pair.start()
        yield pair
        await pair.stop()
    finally:
        pair.kill()


async def disk_full(scene: Scene) -> None:
    """Somebody else fills it while streams run."""
    with tempfile.TemporaryDirectory(prefix="aib-") as name:
        folder = Path(name)
        with _tiny_disk(folder) as disk:
            async with _pair(scene, folder, "faults-full", disk / "spool") as pair:
                await _fill(scene, pair, disk / "filler")
                await scene.end_check(60.0)  # before its disk goes


async def _fill(scene: Scene, pair: Pair, filler: Path) -> None:
    load = scene.load_at(pair.base_url, quick=True)
    loop = asyncio.get_running_loop()
    running = scene.streams(load, 20, tokens=120, delay_ms=60)
    await asyncio.sleep(2.5)
    _take_all(filler)
    full_s = loop.time()
    for _ in range(12):
        _take_all(filler)  # what the router gave up is taken too
        await asyncio.gather(*(load.one(scene.question(tokens=5)) for _ in range(8)))
    late = [one for one in load.done if one.at_s >= full_s]
    refused = [one for one in late if one.answer.status in {503, 529}]
    odd = [one for one in late if not one.served and one not in refused]
    unfinished = sum(not one.served for one in await asyncio.gather(*running))
    await asyncio.to_thread(filler.unlink)
    await asyncio.sleep(ROOM_NOTICED_S)
    again = await asyncio.gather(*(load.one(scene.question(tokens=5)) for _ in range(8)))
    scene.check(len(refused) > 0, "nothing was refused on a full disk")
    scene.check(not odd, f"{len(odd)} answers that are neither whole nor a refusal")
    scene.check(not unfinished, f"{unfinished} of 20 running streams were not finished")
    scene.check(all(one.served for one in again), "not served after the room came back")
    scene.measure(f"{len(refused)} of {len(late)} refused, {unfinished} of 20 running broke")


async def damaged_tail(scene: Scene) -> None:
    """A bit is flipped in the last record; another time half a record stands at the end."""
    with tempfile.TemporaryDirectory(prefix="aib-") as name:
        folder = Path(name)
        spool = folder / "spool"
        async with _pair(scene, folder, "faults-torn", spool) as pair:
            load = scene.load_at(pair.base_url)
            for number, damage in enumerate((_flip_a_bit, _tear), start=1):
                running = scene.streams(load, 12, tokens=190, delay_ms=50)
                await asyncio.sleep(scene.rng.uniform(3.5, 5.5))
                pair.crash("router")
                damage(max(spool.glob("*.spool")))
                await asyncio.gather(*running)
                await pair.start()
                said = pair.said("spool.torn")
                scene.check(said == number, f"{said} alarms after {number} damages")
            scene.measure(f"{pair.said('spool.torn')} alarms")
            scene.bounds = Bounds(router_dies=True, output_tokens=2 * INTERVAL_TOKENS)
            await scene.end_check(60.0)  # before its folder goes


def _take_all(filler: Path) -> None:
    with filler.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 512)
        except OSError:
            return


def _flip_a_bit(segment: Path) -> None:
    with segment.open("r+b") as file:
        file.seek(-20, os.SEEK_END)
        [byte] = file.read(1)
        file.seek(-20, os.SEEK_END)
        file.write(bytes([byte ^ 0x10]))


def _tear(segment: Path) -> None:
    with segment.open("ab") as file:
        file.write((400).to_bytes(4, "little") + b"\x01\x02\x03\x04 half a rec")


ROWS = (
    Row(
        number="9",
        fault="spool's disk full",
        promise="503 for new, running finish, nothing lost",
        play=disk_full,
    ),
    Row(
        number="10",
        fault="spool's tail: bit flip, torn frame",
        promise="starts, alarms, recovers the prefix",
        play=damaged_tail,
        bounds=Bounds(router_dies=True, output_tokens=2 * INTERVAL_TOKENS),
    ),
)
