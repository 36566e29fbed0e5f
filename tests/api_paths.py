"""Paths of routes with names put in."""


def filled(path: str, **names: str) -> str:
    """`/v1/lines/{line}` -> `/v1/lines/l1`; names that may hold slashes too."""
    return path.replace(":path}", "}").format(**names)
