"""Licences: which weights may be used without being asked for by the name of their licence."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.backbones.source import BackboneSpec
from headstart.errors import ConfigError

OWN_FILE = "user-supplied"
"""The licence of a file that the user brings: theirs to know."""

PERMISSIVE = ("0bsd", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc-by-4.0", "cc0-1.0", "isc", "mit", "unlicense",
              OWN_FILE)
"""Licences that let the weights be used, changed and passed on, also commercially, against naming their authors."""


def permitted(spec: BackboneSpec, allowed: Sequence[str]) -> bool:
    """Return whether the licence of the weights is among `allowed`; `any` allows every one."""
    words = {word.lower() for word in allowed}
    return "any" in words or spec.license in words


def require_permitted(spec: BackboneSpec, allowed: Sequence[str]) -> None:
    """Raise ConfigError, naming the licence and the option, if it is not among `allowed`."""
    if permitted(spec, allowed):
        return
    known = (f"the licence of its weights is {spec.license}" if spec.license != "unknown"
             else "the licence of its weights is not known")
    raise ConfigError(f"{spec.architecture}: {known}, which is not among those allowed ({', '.join(allowed)}). "
                      f"{spec.note + ' ' if spec.note else ''}"
                      f"If you may use it, add --allow-licenses {spec.license}, or choose another backbone.")
