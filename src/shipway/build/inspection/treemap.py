"""An inspected image -> one HTML file with a treemap, that needs nothing else.

In: `Inspection`. Out: HTML. The page loads nothing: its style and script are inside, and its policy allows
these two by their digests and nothing else. Every name in it comes from an image that anybody may have made,
so each is escaped on its way into the table, and the script puts its data into the page as text only.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import string
from importlib import resources
from typing import TYPE_CHECKING, Any

from shipway.build.inspection.inspect import KINDS, environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.build.inspection.inspect import Inspection, LayerView, PackageView, Share

LABELS = {
    "debian": "Debian",
    "python": "Python",
    "node": "Node",
    "runtime": "shipway runtime",
    "project": "project",
    "other": "other files",
    "waste": "waste",
}
"""What each kind is called on the page, in the order of the legend."""


def treemap(image: Inspection) -> str:
    """The whole page."""
    template = (
        resources.files("shipway.build.inspection").joinpath("treemap.html").read_text(encoding="utf-8")
    )
    return string.Template(template).substitute(
        policy=_policy(template),
        reference=html.escape(image.reference),
        digest=html.escape(image.digest or f"image id {image.image_id}"),
        platform=html.escape(image.platform),
        totals=html.escape(_totals(image)),
        rows="\n".join(_rows(image)),
        layers="\n".join(_layer_rows(image)),
        data=_script_safe(_data(image)),
    )


def _policy(template: str) -> str:
    """A Content-Security-Policy that names the page's own style and script by digest."""
    digests = {tag: _digest(template, tag) for tag in ("style", "script")}
    return (
        f"default-src 'none'; style-src 'sha256-{digests['style']}'; "
        f"script-src 'sha256-{digests['script']}'; base-uri 'none'; form-action 'none'"
    )


def _digest(template: str, tag: str) -> str:
    match = re.search(rf"<{tag}>(.*?)</{tag}>", template, re.DOTALL)
    assert match
    content = match[1].replace("$$", "$").encode()
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def _script_safe(value: object) -> str:
    """JSON that cannot end the element it is in, whatever the names are."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _totals(image: Inspection) -> str:
    packed = "" if _is_unpacked(image) else f" · {mb(image.compressed)} compressed"
    waste = f" · {mb(image.wasted)} wasted" if image.wasted else ""
    count = len(image.layers)
    return f"{mb(image.unpacked)} unpacked{packed}{waste} · {count} layer{'s' if count != 1 else ''}"


def _is_unpacked(image: Inspection) -> bool:
    """Whether the layers were found without compression, as old engines give them."""
    return all(layer.compression == "none" for layer in image.layers)


# -- Data of the map: {n: name, v: version, s: bytes, k: kind, d: details, c: children} ----------------------


def _data(image: Inspection) -> dict[str, Any]:
    required = {(p.kind, p.name, p.version, p.place): p for p in image.packages}
    children = [_layer(layer, required) for layer in image.layers]
    return {
        "root": {"n": image.reference, "s": image.unpacked, "k": "", "d": "the whole image", "c": children},
        "kinds": {kind: LABELS[kind] for kind in KINDS},
    }


def _layer(layer: LayerView, packages: dict[tuple[str, str, str, str], PackageView]) -> dict[str, Any]:
    packed = f"{mb(layer.size)} compressed" if layer.compression != "none" else "not compressed here"
    return {
        "n": layer.name,
        "s": layer.unpacked,
        "k": layer.shares[0].kind if layer.shares else "other",
        "d": f"layer · {packed} · {layer.diff_id[:19]}",
        "c": [child for share in layer.shares if share.size for child in _share(share, packages)],
    }


def _share(share: Share, packages: dict[tuple[str, str, str, str], PackageView]) -> Iterator[dict[str, Any]]:
    """A package of the layer; files that belong to none stand by their directories instead."""
    own = f"{share.name.replace('-', '_')}/"
    parts = [
        {"n": part.name.removeprefix(own), "s": part.size, "k": share.kind, "d": LABELS[share.kind], "c": []}
        for part in share.parts
        if part.size
    ]
    if share.kind == "other":
        yield from parts
        return
    package = packages.get((share.kind, share.name, share.version, share.place))
    users = f" · required by {_some(package.required_by)}" if package and package.required_by else ""
    place = f" · {environment(share.place.lstrip('/'))}" if share.place else ""
    yield {
        "n": share.name,
        "v": share.version,
        "s": share.size,
        "k": share.kind,
        "d": f"{LABELS[share.kind]}{place}{users}",
        "c": parts if len(parts) > 1 or share.kind == "waste" else [],
    }


# -- The table -----------------------------------------------------------------------------------------------


def _rows(image: Inspection) -> Iterator[str]:
    for package in image.packages:
        yield _row(
            f"{package.name} {package.version}",
            f"~ {mb(package.stated)}" if package.stated else mb(package.size),
            "" if package.stated or _is_unpacked(image) else f"~ {mb(package.compressed)}",
            LABELS[package.kind],
            environment(package.place),
            _some(package.required_by),
        )


def _layer_rows(image: Inspection) -> Iterator[str]:
    for layer in image.layers:
        packed = mb(layer.size) if layer.compression != "none" else ""
        yield _row(layer.name, mb(layer.unpacked), packed, mb(layer.wasted), layer.diff_id[:19])


def _row(*cells: str) -> str:
    head, *rest = (html.escape(cell) for cell in cells)
    return f'<tr><th scope="row">{head}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>'


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


def mb(size: int) -> str:
    """Bytes for people: 12.3 MB, 4.5 kB."""
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"
