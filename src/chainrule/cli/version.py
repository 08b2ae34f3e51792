"""Which chainrule this is."""
from importlib import metadata

__all__ = ["version"]


def version() -> str | None:
    """Return the version that is installed; None in a bare source folder."""
    try:
        return metadata.version("chainrule")
    except metadata.PackageNotFoundError:
        return None
