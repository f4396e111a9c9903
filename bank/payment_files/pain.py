"""Payments as an ISO 20022 credit transfer initiation: pain.001, in the versions that are in use.

https://www.iso20022.org/catalogue-messages/iso-20022-messages-archive?search=pain.001
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from bank.customers.model import tidy
from bank.errors import Invalid
from bank.identifiers import read_number
from bank.language import gettext as _
from bank.language import long_day, whole
from bank.money import MAX_MINOR_UNITS, Money, exponent
from bank.payment_files.markup import Element, Halt, Walk, walk
from bank.payment_files.model import MOST_NAME, MOST_REFERENCE, Bounds, Line, Reading

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:"
VERSIONS: Final = ("pain.001.001.03", "pain.001.001.09", "pain.001.001.10", "pain.001.001.11")
_WITH_PLAIN_DAYS: Final = VERSIONS[0]

_MOST_ID: Final = 35
_ACCOUNT: Final = "Id! Tp~ Ccy? Nm~ Prxy~"
_AGENT: Final = "FinInstnId! BrnchId~"

#: Which elements are read, and which are passed over because they do not change who is paid what by whom. The rest would.
SHAPE: Final = {
    "Document": "CstmrCdtTrfInitn!",
    "CstmrCdtTrfInitn": "GrpHdr! PmtInf+",
    "GrpHdr": "MsgId! CreDtTm! NbOfTxs! CtrlSum? InitgPty~ Authstn~ FwdgAgt~ InitnSrc~",
    "PmtInf": "PmtInfId! PmtMtd! NbOfTxs? CtrlSum? ReqdExctnDt! Dbtr~ DbtrAcct! DbtrAgt! CdtTrfTxInf*"
    " BtchBookg~ ReqdAdvcTp~ PmtTpInf~ UltmtDbtr~ ChrgBr~ ChrgsAcct~ ChrgsAcctAgt~ DbtrAgtAcct~",
    "CdtTrfTxInf": "PmtId! Amt! CdtrAgt? Cdtr? CdtrAcct! RmtInf?"
    " PmtTpInf~ ChrgBr~ UltmtDbtr~ UltmtCdtr~ CdtrAgtAcct~ Purp~ RgltryRptg~ Tax~ RltdRmtInf~",
    "DbtrAcct": _ACCOUNT,
    "CdtrAcct": _ACCOUNT,
    "DbtrAcct/Id": "IBAN? Othr?",
    "CdtrAcct/Id": "IBAN? Othr?",
    "Othr": "Id! SchmeNm~ Issr~",
    "DbtrAgt": _AGENT,
    "CdtrAgt": _AGENT,
    "FinInstnId": "BIC? BICFI? ClrSysMmbId? LEI~ Nm~ PstlAdr~ Othr~",
    "ClrSysMmbId": "ClrSysId~ MmbId!",
    "PmtId": "InstrId? EndToEndId! UETR~",
    "Amt": "InstdAmt!",
    "Cdtr": "Nm? PstlAdr~ Id~ CtryOfRes~ CtctDtls~",
    "RmtInf": "Ustrd* Strd*",
    "Strd": "CdtrRefInf? RfrdDocInf~ RfrdDocAmt~ Invcr~ Invcee~ TaxRmt~ GrnshmtRmt~ AddtlRmtInf~",
    "CdtrRefInf": "Tp~ Ref?",
}


def read(content: bytes, bounds: Bounds, *, today: date) -> Reading:
    """The message's payments; the version is the one that its namespace names."""
    reading = Reading("pain.001")
    namespace = _namespace(content, reading)
    if namespace is None:
        return reading
    reading.format = namespace.removeprefix(NAMESPACE)
    message = _Message(reading, bounds, today)
    days = {} if reading.format == _WITH_PLAIN_DAYS else {"ReqdExctnDt": "Dt? DtTm?"}
    walk(content, Walk({**SHAPE, **days}, namespace, reading.refuse, message.take))
    return reading


def _namespace(content: bytes, reading: Reading) -> str | None:
    """The root's namespace; None, and why, when it is none of these messages."""
    found: list[str] = []

    class Root(Walk):
        def startElementNS(self, name: tuple[str | None, str], _qname: str | None, _attrs: object) -> None:  # noqa: N802
            if name[1] == "Document" and name[0] in [NAMESPACE + version for version in VERSIONS]:
                found.append(name[0] or "")
            else:
                told = _("This is no payment message. Those that are read: %(versions)s.", versions=", ".join(VERSIONS))
                self.refuse(self.line, name[1][:_MOST_ID], told)
            raise Halt

    walk(content, Root({}, "", reading.refuse, lambda _element: False))
    return found[0] if found else None


class _Message:
    """Turns elements into payments as they end, so that a long message is never in memory as a whole."""

    def __init__(self, reading: Reading, bounds: Bounds, today: date) -> None:
        self.reading = reading
        self.bounds = bounds
        self.today = today
        #: Of the block that is open: its payments, whose payer stands in the block, and what their banks are known by.
        self.block: list[Line] = []
        self.agents: list[tuple[int, set[tuple[str, str]]]] = []
        #: How many there were, and the sum of the amounts as they were written, read or not.
        self.counted = self.block_counted = 0
        self.summed = self.block_summed = Decimal(0)

    def take(self, element: Element) -> bool:
        """Look at an element that is whole; a payment need not be kept."""
        if element.tag == "CdtTrfTxInf":
            self._payment(element)
            return True
        if element.tag == "PmtInf":
            self._end_block(element)
            # That there was one is all that is still asked.
            element.children.clear()
        elif element.tag == "CstmrCdtTrfInitn" and (header := element.first("GrpHdr")):
            self.reading.message_id = self._id(header, "MsgId")
            self._check_totals(header, self.counted, self.summed)
        return False

    def _payment(self, element: Element) -> None:
        if self.counted + self.block_counted >= self.bounds.payments:
            most = whole(self.bounds.payments)
            self.reading.refuse(None, "", _("There are more than %(most)s payments. Send them in parts.", most=most))
            raise Halt
        self.block_counted += 1
        amount = self._amount(element)
        payee = self._account(element, "CdtrAcct")
        key = self._id(element, "PmtId/EndToEndId")
        name = self._text(element, "Cdtr/Nm", MOST_NAME)
        reference = tidy(" ".join(part.text for part in element.all("RmtInf/Ustrd")))
        reference = reference or tidy(element.said("RmtInf/Strd/CdtrRefInf/Ref"))
        if len(reference) > MOST_REFERENCE:
            told = _("This is longer than %(most)d characters.", most=MOST_REFERENCE)
            self.reading.refuse(element.line, "RmtInf", told)
        self.agents.append((element.line, set(_agents(element, "CdtrAgt"))))
        if amount and payee:
            self.block.append(Line(element.line, "", payee, name, amount, reference, key))

    def _end_block(self, element: Element) -> None:
        payer = self._account(element, "DbtrAcct")
        self._id(element, "PmtInfId")
        if (method := element.said("PmtMtd")) not in ("TRF", ""):
            told = _("Only transfers (TRF) are made here.")
            self.reading.refuse(element.line, "PmtMtd", told + f" ({method[:_MOST_ID]})")
        self._check_day(element)
        self._check_agents(dict(_agents(element, "DbtrAgt")))
        self._check_currency(element)
        if not self.block_counted:
            told = _("<%(tag)s> is missing in <%(parent)s>.", tag="CdtTrfTxInf", parent="PmtInf")
            self.reading.refuse(element.line, "PmtInf", told)
        self._check_totals(element, self.block_counted, self.block_summed)
        self.reading.lines += [replace(line, payer=payer) for line in self.block]
        self.counted, self.summed = self.counted + self.block_counted, self.summed + self.block_summed
        self.block, self.agents, self.block_counted, self.block_summed = [], [], 0, Decimal(0)

    def _check_totals(self, element: Element, count: int, total: Decimal) -> None:
        """ISO 20022 adds up amounts of any currencies as bare figures."""
        said = element.first("NbOfTxs")
        if said and (not re.fullmatch("[0-9]{1,15}", said.text.strip()) or int(said.text) != count):
            told = _("%(said)s payments are announced, and there are %(count)d.", said=said.text[:20], count=count)
            self.reading.refuse(said.line, "NbOfTxs", told)
        said = element.first("CtrlSum")
        if said and (not _FIGURE.fullmatch(said.text.strip()) or Decimal(said.text.strip()) != total):
            told = _("%(said)s is announced as their sum, and it is %(total)s.", said=said.text[:20], total=total)
            self.reading.refuse(said.line, "CtrlSum", told)

    def _check_day(self, element: Element) -> None:
        said = element.said("ReqdExctnDt") or element.said("ReqdExctnDt/Dt") or element.said("ReqdExctnDt/DtTm")[:10]
        try:
            day = datetime.strptime(said, "%Y-%m-%d").date()  # noqa: DTZ007  # a calendar day.
        except ValueError:
            self.reading.refuse(element.line, "ReqdExctnDt", _("Write a day like 2026-03-31."))
            return
        if day > self.today:
            told = _("A file is paid as soon as it is confirmed, not on %(day)s. Send it then.", day=long_day(day))
            self.reading.refuse(element.line, "ReqdExctnDt", told)

    def _check_agents(self, payers: dict[str, str]) -> None:
        """An account of another bank may have the number of one here."""
        for line, payees in self.agents:
            if any(how in payers and payers[how] != name for how, name in payees):
                told = _("The payee's bank is another one than the payer's. Only accounts of this bank are paid.")
                self.reading.refuse(line, "CdtrAgt", told)

    def _check_currency(self, element: Element) -> None:
        kept_in = element.said("DbtrAcct/Ccy")
        for line in self.block:
            if kept_in and line.amount.currency != kept_in:
                told = _("The paying account is said to be kept in %(currency)s.", currency=kept_in[:3])
                self.reading.refuse(line.line, "InstdAmt", told)

    def _account(self, element: Element, tag: str) -> str:
        found = element.first(f"{tag}/Id")
        if found is None:
            # That it is missing was said already.
            return ""
        if found.first("IBAN"):
            told = _("Accounts here have numbers, no IBANs: write the number in <Othr><Id>.")
            self.reading.refuse(found.line, tag, told)
            return ""
        try:
            return read_number(found.said("Othr/Id"))
        except Invalid as problem:
            self.reading.refuse(found.line, tag, str(problem))
            return ""

    def _amount(self, element: Element) -> Money | None:
        found = element.first("Amt/InstdAmt")
        if found is None:
            return None
        figure, currency = found.text.strip(), found.attributes.get("Ccy", "")
        if not re.fullmatch("[A-Z]{3}", currency):
            self.reading.refuse(found.line, "InstdAmt", _("Write the currency as its three letters, like USD."))
            return None
        amount = Decimal(figure) if _FIGURE.fullmatch(figure) else Decimal(0)
        self.block_summed += amount
        minor_units = amount.scaleb(exponent(currency))
        if not 0 < minor_units <= MAX_MINOR_UNITS or minor_units != int(minor_units):
            told = _("This is no amount of %(currency)s: write it like 1250.50.", currency=currency)
            self.reading.refuse(found.line, "InstdAmt", told)
            return None
        return Money(int(minor_units), currency)

    def _id(self, element: Element, path: str) -> str:
        found = element.first(path)
        text = tidy(found.text) if found else ""
        if found and not 0 < len(text) <= _MOST_ID:
            told = _("This has 1 to %(most)d characters.", most=_MOST_ID)
            self.reading.refuse(found.line, found.tag, told)
        return text

    def _text(self, element: Element, path: str, most: int) -> str:
        text = tidy(element.said(path))
        if len(text) > most:
            told = _("This is longer than %(most)d characters.", most=most)
            self.reading.refuse(element.line, path.rpartition("/")[2], told)
        return text


_FIGURE: Final = re.compile(r"[0-9]{1,18}(\.[0-9]{1,17})?")


def _agents(element: Element, tag: str) -> Iterator[tuple[str, str]]:
    """What a bank is known by: the system that names it, and its name there. A code of eight letters is its head office."""
    for path in ("BIC", "BICFI", "ClrSysMmbId/MmbId"):
        if name := element.said(f"{tag}/FinInstnId/{path}"):
            yield path, name.upper().removesuffix("XXX") if path.startswith("BIC") else name
