"""Compiles the load generator and the upstream when their sources are newer."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.machine import NotMeasurableError

SOURCES = Path(__file__).parent / "native"


@dataclass(frozen=True, kw_only=True, slots=True)
class Programs:
    load: Path
    upstream: Path


def compile_programs(*, compiler: str, into: Path) -> Programs:
    into.mkdir(parents=True, exist_ok=True)
    newest_ns = max(source.stat().st_mtime_ns for source in SOURCES.iterdir())
    programs = Programs(load=into / "load", upstream=into / "upstream")
    for program in (programs.load, programs.upstream):
        if program.exists() and program.stat().st_mtime_ns > newest_ns:
            continue
        source = SOURCES / f"{program.name}.c"
        command = [
            compiler,
            "-O2",
            "-std=gnu11",
            "-Wall",
            "-Wextra",
            "-o",
            str(program),
            str(source),
        ]
        compiled = subprocess.run(command, capture_output=True, text=True, check=False)
        if compiled.returncode != 0:
            raise NotMeasurableError(f"{source.name} does not compile:\n{compiled.stderr}")
    return programs
