"""The packages of an image with their licences, and the layer that each came with."""

from __future__ import annotations

from lamina.api.explorer_findings import InstalledPackage
from lamina.cancellation import NEVER, Cancellation
from lamina.explorer.opened import OpenImage
from lamina.images.packages.copyright import licenses
from lamina.images.packages.scan import scan


def installed_packages(image: OpenImage, cancellation: Cancellation = NEVER) -> tuple[InstalledPackage, ...]:
    """Return the packages, sorted by kind and name. Raise Cancelled, Corrupt."""
    packages = []
    layers: dict[str, int] = {}
    for package in scan(image.merged, cancellation).packages:
        cancellation.check()
        if package.path not in layers:
            node = image.merged.lookup(package.path)
            layers[package.path] = node.source if node else 0
        packages.append(
            InstalledPackage(
                kind=package.kind,
                name=f"{package.namespace}/{package.name}" if package.namespace.startswith("@") else package.name,
                version=package.version,
                architecture=package.architecture,
                licenses=licenses(image.merged, package),
                path=f"/{package.path}",
                layer=layers[package.path],
                url=package.url,
            )
        )
    return tuple(packages)
