"""`shipway lock`: write down what images are made of, so that every build makes the same."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command("lock")
@click.argument("directory", type=click.Path(path_type=Path), default=".")
@click.option("--upgrade", is_flag=True, help="Resolve all anew, and show what moved.")
@click.option("--check", is_flag=True, help="Write nothing, ask no network; exit 1 when something is stale.")
def command(directory: Path, upgrade: bool, check: bool) -> None:
    """Write shipway.lock: Debian packages, and what goes into each environment and server, with hashes.

    What is missing or stale is resolved, the rest is kept. Commit the file.
    """
    from shipway.build import locking
    from shipway.build.cache import Cache, default_root
    from shipway.build.interruption import interruptible
    from shipway.build.locksmith import Locksmith
    from shipway.build.registries.pool import Registries
    from shipway.build.writing import replace_text
    from shipway.plan.image import image_python, plan_images
    from shipway.spec.load import load as load_spec
    from shipway.spec.lock import read_lock
    from shipway.spec.project import read_project
    from shipway.spec.shipwaylock import NAME, read_shipway_lock, to_text

    if check and upgrade:
        raise click.UsageError("--check writes nothing: it cannot go with --upgrade")
    loaded = load_spec(directory / "agent.toml")
    project = read_project(loaded)
    own = read_lock(project.root, image_python(loaded.spec))
    wanted = locking.plan_lock(plan_images(loaded, project, own), own)
    known = read_shipway_lock(project.root)
    if check:
        findings = locking.find_stale(wanted, known)
        for finding in findings:
            say(str(finding))
        sys.exit(1 if findings else 0)
    cache = Cache(default_root())
    click.get_current_context().with_resource(interruptible())
    with Registries() as registries, cache.disk_errors():
        lock = Locksmith(project.root, own, cache, say, registries, anew=upgrade).complete(wanted, known)
    text, path = to_text(lock), project.root / NAME
    moved = locking.moves(known, lock) if known else []
    for line in moved:
        say(f"  {line}")
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        say(f"{NAME} is up to date")
        return
    replace_text(path, text)
    say(f"wrote {path}: {_count(lock)}" + (f"; {len(moved)} moved" if known else ""))


def _count(lock: object) -> str:
    from shipway.spec.shipwaylock import ShipwayLock

    assert isinstance(lock, ShipwayLock)
    debs = {deb for base in lock.bases for debs in base.debs.values() for deb in debs}
    pins = {(p.name, p.version) for e in lock.environments for r in e.resolved.values() for p in r.pins}
    npm = {(path, p["version"]) for server in lock.npm for path, p in server.packages.items()}
    counted = f"{len(debs)} Debian packages, {len(pins)} distributions"
    return f"{counted}, {len(npm)} packages from npm" if npm else counted


def say(message: str) -> None:
    """Talk: to stderr, so that stdout stays data."""
    click.echo(message, err=True)
