"""The replay beside aimock and vcrpy: pace, streams at once, memory, start.

    python replay.py [--quick]

The same recorded answers, in each one's own format. The client is a socket for each stream and notes when
bytes come; it runs on the other core. `--quick` is a short run that prints and writes nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import replayers
from replayers import GAP_MS, PIECE, Recorded, Replayer, Start
from table import Row, report, show

from processes import family, install, memory_mb

PATIENCE_S = 120.0
END = b"0\r\n\r\n"  # of a body in chunks; not everybody closes the connection when asked to


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    streams: tuple[int, ...]
    pieces: int
    files: int  # of about 50 kB each, for the large tape
    rounds: int
    seconds: float


FULL = Scale((1, 100, 500), 100, 2000, 5, 5.0)
QUICK = Scale((1, 50), 25, 200, 1, 0.5)


@dataclass(frozen=True)
class Bench:
    scale: Scale
    place: Path
    servers: Mapping[str, Start]
    vcrpy: Path

    def directory(self, name: str, recorded: list[Recorded], *, paced: bool = False) -> Path:
        """The recordings in one server's format."""
        found = self.place / f"{name}-{len(recorded)}{'-paced' if paced else ''}"
        if not found.exists():
            found.mkdir()
            if name == "shipway":
                replayers.write_shipway(found, recorded)
            else:
                replayers.write_aimock(found, recorded, paced=paced)
        return found

    def cassette(self, recorded: list[Recorded]) -> Path:
        found = self.place / f"vcrpy-{len(recorded)}.json"
        if not found.exists():
            replayers.write_vcrpy(found, recorded)
        return found

    def rows(
        self, metric: str, unit: str, values: Mapping[str, float], target: str = "", note: str = ""
    ) -> list[Row]:
        """One row for each peer. `note` stands for vcrpy where it has no value."""
        ours = values["shipway"]
        rows = [Row(metric, unit, ours, target, values["aimock"], "aimock")]
        if "vcrpy" in values or note:
            rows.append(Row(metric, unit, ours, target, values.get("vcrpy"), "vcrpy", note))
        return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        program, version = replayers.install_aimock(place / "npm")
        vcrpy = install(place / "venv", "vcrpy", beside=["httpx<1"])
        servers: dict[str, Start] = {"shipway": replayers.shipway, "aimock": replayers.aimock(program)}
        bench = Bench(QUICK if quick else FULL, place, servers, place / "venv/bin/python")
        rows = [*pace(bench), *rate(bench), *size(bench)]
    if quick:
        show("replay", rows)
    else:
        report("replay", rows, "shipway", "uvicorn", "httptools", aimock=version, vcrpy=vcrpy)


# -- Streams -------------------------------------------------------------------------------------------------


def pace(bench: Bench) -> list[Row]:
    """How far from its recorded moment a piece arrives, counted from the first one."""
    one = Recorded(0, bench.scale.pieces)
    played = replayers.play_vcrpy(bench.vcrpy, bench.cassette([one]), [one])
    at_once = max(errors_ms([(moment, PIECE) for moment, _ in played["arrived"][0]], bench.scale.pieces))
    rows = []
    for number in bench.scale.streams:
        late = {}
        for name, start in bench.servers.items():
            with start(bench.directory(name, [one], paced=True), True) as server:
                found = [asyncio.run(streams(server, one, number)) for _ in range(bench.scale.rounds)]
            late[name] = statistics.median(p99([e for stream in run for e in stream]) for run in found)
        note = f"one chunk, {at_once:.0f} ms" if number == 1 else ""
        metric = f"{number} stream{'s' if number > 1 else ''} at once: timing error of a chunk, p99"
        rows += bench.rows(metric, "ms", late, note=note)
    return rows


async def streams(server: Replayer, one: Recorded, number: int) -> list[list[float]]:
    """The errors of each of so many streams, begun at even distances within one gap."""

    async def play(i: int) -> list[float]:
        await asyncio.sleep(GAP_MS / 1000 * i / number)
        return errors_ms(await arrivals(server, one), one.pieces)

    return await asyncio.gather(*(play(i) for i in range(number)))


async def arrivals(server: Replayer, one: Recorded) -> list[tuple[float, int]]:
    """When pieces of text came: (moment in seconds, characters). The answer is checked to be whole."""
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(one.request())
        seen, came = b"", []
        while not seen.endswith(END) and (data := await reader.read(65536)):
            came.append((time.perf_counter(), data.count(b" piece ") * PIECE))
            seen += data
        writer.close()
    if not seen.startswith(b"HTTP/1.1 200") or sum(count for _, count in came) != one.pieces * PIECE:
        raise SystemExit(f"not the recorded answer: {seen[:300]!r} … {seen[-300:]!r}")
    return came


def errors_ms(came: list[tuple[float, int]], pieces: int) -> list[float]:
    """How far from its moment each piece was. Several that came together have one moment."""
    moments: list[float] = []
    for moment, characters in came:
        moments += [moment] * (characters // PIECE)
    moments += [moments[-1]] * (pieces - len(moments))
    return [abs((moment - moments[0]) * 1000 - i * GAP_MS) for i, moment in enumerate(moments)]


def p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


def rate(bench: Bench) -> list[Row]:
    """Streams that end in a second, played at once, for fifty clients."""
    one = Recorded(0, bench.scale.pieces)
    rates = {}
    for name, start in bench.servers.items():
        with start(bench.directory(name, [one]), False) as server:
            found = [
                asyncio.run(finished(server, one, bench.scale.seconds)) for _ in range(bench.scale.rounds)
            ]
        rates[name] = statistics.median(found)
    return bench.rows(f"streams of {one.pieces} chunks, at once, 50 clients", "streams/s", rates)


async def finished(server: Replayer, one: Recorded, seconds: float) -> float:
    end = time.perf_counter() + seconds

    async def client() -> int:
        count = 0
        while time.perf_counter() < end:
            await arrivals(server, one)
            count += 1
        return count

    return sum(await asyncio.gather(*(client() for _ in range(50)))) / seconds


# -- Size ----------------------------------------------------------------------------------------------------


def size(bench: Bench) -> list[Row]:
    """Start and memory, with three recordings and with many."""
    rows = []
    few = [Recorded(i, 20) for i in range(3)]
    many = [Recorded(i, 175, padding=8_000) for i in range(bench.scale.files)]
    for recorded in (few, many):
        values = {name: started(bench, name, recorded) for name in bench.servers}
        values["vcrpy"] = started_vcrpy(bench, recorded)
        written = sum(f.stat().st_size for f in bench.directory("shipway", recorded).iterdir()) / 1e6
        label = (
            f"{len(recorded)} recordings, {written:.0f} MB" if recorded is many else f"{len(few)} recordings"
        )
        begun = {name: seconds for name, (seconds, _) in values.items()}
        taken = {name: memory for name, (_, memory) in values.items()}
        rows += bench.rows(f"{label}: start to the first answer", "s", begun)
        rows += bench.rows(f"{label}: RSS after a hundred answers", "MB", taken)
    return rows


def started(bench: Bench, name: str, recorded: list[Recorded]) -> tuple[float, float]:
    """Seconds from the start to the end of the first answer, and MB after a hundred of them."""
    directory = bench.directory(name, recorded)
    taken, memory = [], 0.0
    for _ in range(bench.scale.rounds):
        began = time.perf_counter()
        with bench.servers[name](directory, False) as server:
            asyncio.run(arrivals(server, recorded[-1]))
            taken.append(time.perf_counter() - began)
            for i in range(100):
                asyncio.run(arrivals(server, recorded[i * len(recorded) // 100]))
            memory = memory_mb([server.pid, *family(server.pid)])[0]
    return statistics.median(taken), memory


def started_vcrpy(bench: Bench, recorded: list[Recorded]) -> tuple[float, float]:
    cassette = bench.cassette(recorded)
    taken = []
    for _ in range(bench.scale.rounds):
        began = time.perf_counter()
        replayers.play_vcrpy(bench.vcrpy, cassette, recorded[-1:])
        taken.append(time.perf_counter() - began)
    asked = [recorded[i * len(recorded) // 100] for i in range(100)]
    return statistics.median(taken), replayers.play_vcrpy(bench.vcrpy, cassette, asked)["rss_mb"]


if __name__ == "__main__":
    main()
