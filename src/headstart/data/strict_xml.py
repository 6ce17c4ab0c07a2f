"""Strict XML: elements, attributes and text; no document type, hence no entities, and no bombs."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from headstart.errors import DataError

MOST_BYTES = 10_000_000
DEEPEST = 50


def read_xml(path: Path) -> Element:
    """Return the root element of an XML file.

    Raises DataError for a file of more than 10 MB, for a document type or an entity, and for what is no XML.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataError(f"{path.name}: more than {MOST_BYTES // 10**6} MB of XML for one image; nothing of it was "
                            "read. Write it anew.")
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error.strerror or error}).") from error
    return parse_xml(data, where=path.name)


def parse_xml(data: bytes, *, where: str) -> Element:
    """Return the root element. Raises DataError as `read_xml` does."""
    builder, parser, depth = TreeBuilder(), expat.ParserCreate(), 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            raise DataError(f"{where}: elements are nested more than {DEEPEST} deep. Write the file anew.")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(*_: object) -> None:
        raise DataError(f"{where}: has a document type or entities, which annotations don't need and attacks do. "
                        "Nothing of it was read. Remove the line <!DOCTYPE ...>.")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise DataError(f"{where} line {error.lineno}: not XML ({expat.ErrorString(error.code)}). Mend it.") from None
    except (ValueError, LookupError) as error:  # an encoding that Python lacks
        raise DataError(f"{where}: not XML that can be read ({error}). Save it as UTF-8.") from None
    return builder.close()
