"""`shipway control image`: make control's own image; stdout is its reference."""

from __future__ import annotations

from pathlib import Path

import click

from shipway.cli import delivery, own_image
from shipway.cli.delivery import load_option, output_option, platform_option, push_option

_SPEC = Path("agent.toml")
_STATE = Path(".shipway")


@click.command("image")
@click.option(
    "-t",
    "--tag",
    metavar="REF",
    help="Name of the image; default: what the stack of this directory's agent.toml asks for.",
)
@platform_option("that of this machine, or agent.toml's")
@push_option
@load_option
@output_option(".shipway/control-image")
@click.pass_context
def image(
    context: click.Context,
    tag: str | None,
    platform: tuple[str, ...],
    push: bool,
    load: bool,
    output: Path | None,
) -> None:
    """Make control's image, without a container engine: the same for every project.

    It keeps its records on a volume at /data, or in PostgreSQL, and listens on port 8083. Pushed from a
    project, it joins the release that was built there, and `shipway render` names it by its digest. stdout is
    the image.
    """
    from shipway.build.release import add_control
    from shipway.plan.control import CONTROL, plan_control
    from shipway.plan.servers import platforms
    from shipway.spec.load import load as load_spec

    if _SPEC.exists():
        spec = load_spec(_SPEC).spec
        tag, platform = tag or plan_control(spec).image, platform or platforms(spec)
    reference = own_image.make(CONTROL, tag, platform, output, context, push=push, load=load)
    if push and (release := add_control(reference, _STATE)):
        delivery.say(f"named in {release}")
    click.echo(reference)
