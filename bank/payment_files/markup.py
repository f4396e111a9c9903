"""XML that strangers send, read element by element against a table of what may stand where.

No document type is read: without one there are no entities to expand and nothing to fetch.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from xml.sax import SAXParseException  # the parser itself is defusedxml's.
from xml.sax.handler import ContentHandler, feature_namespaces
from xml.sax.xmlreader import Locator

from defusedxml import DefusedXmlException
from defusedxml.expatreader import create_parser

from bank.language import gettext as _

_DEEPEST: Final = 24
#: Whoever has so much wrong has it wrong everywhere; nothing behind that is looked at.
_MOST_PROBLEMS: Final = 1_000
_CHILD: Final = re.compile(r"([A-Za-z0-9]+)([!?+*~])")

Refuse = Callable[[int | None, str, str], object]


class Halt(Exception):
    """Nothing more of this document can be read; why has been noted."""


class Element:
    """An element with what was read of it: its text, its attributes, its children."""

    __slots__ = ("attributes", "children", "line", "parts", "tag", "tags")

    def __init__(self, tag: str, line: int, attributes: Mapping[str, str]) -> None:
        self.tag = tag
        self.line = line
        self.attributes = attributes
        #: The text as it came: of 4 MiB, the parser gives each line by itself.
        self.parts: list[str] = []
        self.children: list[Element] = []
        #: The children's, which may be very many.
        self.tags: set[str] = set()

    @property
    def text(self) -> str:
        """What stands in it by itself."""
        return "".join(self.parts)

    def keep(self, child: Element) -> None:
        """Have one more child."""
        self.children.append(child)
        self.tags.add(child.tag)

    def all(self, path: str) -> list[Element]:
        """The elements at a path like `PmtId/EndToEndId`, from here."""
        found = [self]
        for tag in path.split("/"):
            found = [child for each in found for child in each.children if child.tag == tag]
        return found

    def first(self, path: str) -> Element | None:
        """The first of them."""
        return next(iter(self.all(path)), None)

    def said(self, path: str) -> str:
        """The text of the first of them, without the blanks around it; empty when there is none."""
        found = self.first(path)
        return found.text.strip() if found else ""


class Walk(ContentHandler):
    """Takes a document element by element.

    `shape` says by tag, or by parent and tag, which children there may be: `MsgId!` once, `CtrlSum?` at most once,
    `PmtInf+` at least once, `Ustrd*` any number, `Purp~` any number and not looked into. What is not in it has text alone.
    `done` has each element once it is whole; one that it answers with true is not kept within its parent.
    """

    def __init__(
        self, shape: Mapping[str, str], namespace: str, refuse: Refuse, done: Callable[[Element], bool]
    ) -> None:
        super().__init__()
        self.shape = {tag: dict(_CHILD.findall(children)) for tag, children in shape.items()}
        self.namespace = namespace
        self._refuse = refuse
        self.refused = 0
        self.done = done
        self.open: list[Element] = []
        self.skipped = 0
        self.locator: Any = None

    def setDocumentLocator(self, locator: Locator) -> None:  # noqa: N802  # SAX calls it so.
        self.locator = locator

    @property
    def line(self) -> int:
        """Where the parser is."""
        return int(self.locator.getLineNumber())

    def refuse(self, line: int | None, field: str, says: str) -> None:
        """Note a problem."""
        self.refused += 1
        self._refuse(line, field, says)

    def startElementNS(self, name: tuple[str | None, str], _qname: str | None, attrs: Any) -> None:  # noqa: N802
        namespace, tag = name
        if self.refused >= _MOST_PROBLEMS:
            self.refuse(None, "", _("What stands behind line %(line)s was not looked at.", line=self.line))
            raise Halt
        if len(self.open) + self.skipped >= _DEEPEST:
            self.refuse(self.line, tag, _("Elements stand in elements too deep here."))
            raise Halt
        if self.skipped or self._is_skipped(namespace or "", tag):
            self.skipped += 1
        else:
            self.open.append(Element(tag, self.line, {name: value for (_space, name), value in attrs.items()}))

    def _is_skipped(self, namespace: str, tag: str) -> bool:
        """Is it one not to look into, or, as is said then, one that may not stand here?"""
        if not self.open:
            return False
        parent = self.open[-1]
        how = self._children().get(tag)
        if namespace != self.namespace or how is None:
            self.refuse(self.line, tag, _("<%(tag)s> cannot stand in <%(parent)s> here.", tag=tag, parent=parent.tag))
            return True
        if how in "!?" and tag in parent.tags:
            self.refuse(self.line, tag, _("<%(tag)s> stands in <%(parent)s> twice.", tag=tag, parent=parent.tag))
        return how == "~"

    def _children(self) -> dict[str, str]:
        """What may stand in the element that is open."""
        tag, parent = self.open[-1].tag, self.open[-2].tag if len(self.open) > 1 else ""
        return self.shape.get(f"{parent}/{tag}", self.shape.get(tag, {}))

    def characters(self, content: str) -> None:
        if not self.skipped:
            self.open[-1].parts.append(content)

    def endElementNS(self, _name: tuple[str | None, str], _qname: str | None) -> None:  # noqa: N802
        if self.skipped:
            self.skipped -= 1
            return
        children, element = self._children(), self.open.pop()
        for tag, how in children.items():
            if how in "!+" and tag not in element.tags:
                told = _("<%(tag)s> is missing in <%(parent)s>.", tag=tag, parent=element.tag)
                self.refuse(element.line, element.tag, told)
        if children and element.text.strip():
            told = _("Text cannot stand in <%(parent)s> by itself.", parent=element.tag)
            self.refuse(element.line, element.tag, told)
        if not self.done(element) and self.open:
            self.open[-1].keep(element)


def walk(content: bytes, handler: Walk) -> None:
    """Let the handler take the document, as far as it can be read."""
    parser = create_parser(forbid_dtd=True)
    parser.setFeature(feature_namespaces, True)
    parser.setContentHandler(handler)
    try:
        parser.parse(io.BytesIO(content))
    except Halt:
        return
    except DefusedXmlException:
        handler.refuse(None, "", _("A document type (DTD) stands in this file, and that is not read. Take it out."))
    except (SAXParseException, LookupError, ValueError) as error:
        # An encoding that Python does not know is a LookupError; one that it cannot use here, a ValueError.
        line = error.getLineNumber() if isinstance(error, SAXParseException) else None
        handler.refuse(line, "", _("This is not well-formed XML: nothing behind this place can be read."))
