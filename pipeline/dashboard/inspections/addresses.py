"""Where parts, their pictures and downloads are found."""

from __future__ import annotations

from urllib.parse import quote

from pipeline.dashboard.inspections.query import GalleryQuery


def part_address(inspection_id: str, query: GalleryQuery | None = None) -> str:
    """A part's page; with the filter it was found by, for going on along it."""
    text = query.without_page().text if query is not None else ""
    return f"/inspections/{_quoted(inspection_id)}" + (f"?{text}" if text else "")


def picture_address(inspection_id: str, *, small: bool = False) -> str:
    """A part's picture: as it is stored, or small with its boxes drawn in."""
    return f"/pictures/{_quoted(inspection_id)}" + ("?small=1" if small else "")


def download_address(kind: str, query: GalleryQuery) -> str:
    """What the filter finds, as a file: csv, parquet or labelled."""
    text = query.without_page().text
    return f"/downloads/{kind}" + (f"?{text}" if text else "")


def _quoted(inspection_id: str) -> str:
    """Readable, but where a browser would take `..` in it for a way up."""
    climbs = any(step in (".", "..") for step in inspection_id.split("/"))
    return quote(inspection_id, safe="" if climbs else "/")
