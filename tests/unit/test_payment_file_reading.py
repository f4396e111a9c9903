"""What a file of payments may look like, and each thing that can be wrong with one."""

from __future__ import annotations

import re
import time
from datetime import date
from pathlib import Path

import pytest

from bank.language import read_in
from bank.money import Money
from bank.payment_files import delimited, pain
from bank.payment_files.model import BY_COMMAND, ON_THE_WEB, Bounds, Reading
from bank.payment_files.reading import read as read_file
from tests.payment_files import as_csv, as_pain

TODAY = date(2026, 1, 31)
GUIDE = Path(__file__).parents[2] / "docs/how-to/pay-by-file.md"
ALICE, BOB = "360200000", "360200001"
PAYEES_BANK = "<CdtrAgt><FinInstnId><BICFI>OURBUS33"
ROW = (ALICE, BOB, "Bob Nakamura", "12.50", "Rent")


def read(content: bytes, bounds: Bounds = ON_THE_WEB) -> Reading:
    return read_file(content, bounds, currency="USD", today=TODAY)


def problems(content: bytes, bounds: Bounds = ON_THE_WEB) -> list[str]:
    return [str(problem) for problem in read(content, bounds).problems]


# CSV


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "windows-1252"])
def test_every_separator_and_encoding_that_spreadsheets_save_is_read_and_named(separator, encoding):
    text = as_csv([(ALICE, BOB, "Zoë Peña", "12.50", "Café")], separator=separator).decode()

    found = read(text.encode(encoding))

    assert found.problems == []
    assert (found.separator, found.encoding) == (separator, encoding.removesuffix("-sig").upper())
    [line] = found.lines
    assert (line.payee_name, line.reference, line.amount) == ("Zoë Peña", "Café", Money(12_50, "USD"))


def test_columns_stand_in_any_order_and_case_and_blank_lines_are_no_payments():
    found = read(f'\r\nAMOUNT,Payee_Account, payer account\r\n"1,250.50",{BOB},{ALICE}\r\n,,\r\n\r\n'.encode())

    [line] = found.lines
    assert (line.line, line.payer, line.payee, line.amount) == (3, ALICE, BOB, Money(1250_50, "USD"))
    assert found.problems == []


def test_amounts_are_read_in_the_readers_language():
    content = as_csv([(ALICE, BOB, "", "1.250,50", "")], separator=";")
    with read_in("es"):
        [line] = read(content).lines
    assert line.amount == Money(1250_50, "USD")
    assert len(problems(content)) == 1


def test_line_numbers_go_on_after_a_quoted_line_break():
    content = as_csv([ROW, ROW]).replace(b"Rent\n", b'"Rent\nand more"\n', 1) + b"\n1,2,,x,"

    assert [line.line for line in read(content).lines] == [2, 4]
    assert read(content).lines[0].reference == "Rent and more"
    assert {problem.line for problem in read(content).problems} == {5}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (f"{ALICE},36020000,,1,", "Line 2, payee account: Enter the number's 9 or 10 digits, as on the statement."),
        (f"3602000001,{BOB},,1,", "Line 2, payer account: Check the number: one of its digits is mistyped."),
        (f"{ALICE},{BOB},,-1,", "Line 2, amount: Enter an amount above zero, without a minus sign."),
        (f"{ALICE},{BOB},,0,", "Line 2, amount: Enter an amount above zero."),
        (f"{ALICE},{BOB},,,", "Line 2, amount: Enter an amount."),
        (f"{ALICE},{BOB},,1.001,", "Line 2, amount: Enter at most 2 digits after the point: USD has no smaller unit."),
        (f"{ALICE},{BOB},,{'9' * 40},", "Line 2, amount: Enter 10,000,000,000,000.00 or less: the bank books no larger"),
        (f"{ALICE},{BOB},{'x' * 141},1,", "Line 2, payee name: This is longer than 140 characters."),
        (f"{ALICE},{BOB},,1,{'x' * 141}", "Line 2, reference: This is longer than 140 characters."),
        (f"{ALICE},{BOB},,1", "Line 2: 4 values stand here in place of 5."),
        (f'{ALICE},{BOB},"x"y,1,', "Line 2: The quotation marks here do not go together. What follows was not read."),
        (f'{ALICE},{BOB},"x,1,', "Line 2: The quotation marks here do not go together. What follows was not read."),
    ],
)  # fmt: skip
def test_each_defect_of_a_row_is_named_with_its_line(row, told):
    [found] = problems(as_csv([]) + b"\n" + row.encode())

    assert found.startswith(told)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "The first line lacks these columns: payer account, payee account, and amount."),
        (b"payer account,payee account\n", "The first line lacks these columns: amount."),
        (b"payer account,payee account,amount,refrence\n", "“refrence” is no column of such a file."),
        (b"payer account,payee account,amount,amount\n", "A column stands in the first line twice."),
        (b"\x89PNG\r\n\x81\x8d", "This is neither text (CSV) nor XML."),
        (as_csv([]), "There is no payment in this file."),
    ],
)
def test_each_defect_of_a_whole_file_is_named(content, told):
    [found] = problems(content)

    assert told in found


def test_a_currency_and_a_key_may_stand_in_columns_of_their_own():
    header = f"payer account,payee account,amount,currency,key\n{ALICE},{BOB}"
    [line] = read(f"{header},500,jpy,k-1\n".encode()).lines
    assert (line.amount, line.key) == (Money(500, "JPY"), "k-1")
    assert problems(f"{header},5,dollars,\n".encode()) == [
        "Line 2, currency: Write the currency as its three letters, like USD."
    ]
    assert problems(f"{header},5,USD,{'é' * 51}\n".encode()) == ["Line 2, key: This is longer than 100 bytes."]
    twice = f"{header},5,USD,k\n{ALICE},{BOB},6,USD,k\n".encode()
    assert problems(twice) == ["Line 3, key: Line 2 has the same key."]


@pytest.mark.parametrize("write", [as_csv, as_pain])
def test_what_is_too_much_is_refused_before_it_is_all_read(write):
    assert problems(write([ROW] * 3), Bounds(10_000, 2))[-1] == "There are more than 2 payments. Send them in parts."
    assert problems(write([ROW] * 3), Bounds(100, 9)) == ["The file is larger than 0 KiB. Send it in parts."]
    assert read(write([ROW] * 3), Bounds(10_000, 3)).problems == []


# pain.001


@pytest.mark.parametrize("version", pain.VERSIONS)
def test_each_version_is_read(version):
    found = read(as_pain([ROW, (BOB, ALICE, "Alice", "1", "Back")], version=version))

    assert found.problems == []
    assert (found.format, found.message_id) == (version, "SALARIES-1")
    first, second = found.lines
    assert (first.payer, first.payee, first.payee_name) == (ALICE, BOB, "Bob Nakamura")
    assert (first.amount, first.reference, first.key) == (Money(12_50, "USD"), "Rent", "E1")
    assert (second.payer, second.amount) == (BOB, Money(1_00, "USD"))


def test_a_structured_reference_is_a_reference_too():
    content = as_pain([ROW]).replace(
        b"<Ustrd>Rent</Ustrd>",
        b"<Strd><CdtrRefInf><Tp><CdOrPrtry/></Tp><Ref>RF18539007547034</Ref></CdtrRefInf></Strd>",
    )
    [line] = read(content).lines
    assert line.reference == "RF18539007547034"


def test_utf_16_is_read_as_its_own_declaration_says():
    text = as_pain([(ALICE, BOB, "Zoë", "1", "")]).decode().replace("UTF-8", "UTF-16")
    [line] = read(text.encode("utf-16")).lines
    assert line.payee_name == "Zoë"


def changed(old: str, new: str, **how: str) -> bytes:
    content = as_pain([ROW], **how)
    assert old.encode() in content, old
    return content.replace(old.encode(), new.encode())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (as_pain([ROW], count="2"), "Line 3, NbOfTxs: 2 payments are announced, and there are 1."),
        (as_pain([ROW], count="one"), "Line 3, NbOfTxs: one payments are announced, and there are 1."),
        (as_pain([ROW], total="12.51"), "Line 3, CtrlSum: 12.51 is announced as their sum, and it is 12.50."),
        (as_pain([ROW], total="1e1"), "Line 3, CtrlSum: 1e1 is announced as their sum, and it is 12.50."),
        (as_pain([ROW], day="2026-02-01"), "Line 4, ReqdExctnDt: A file is paid as soon as it is confirmed, not on 1 February 2026."),
        (as_pain([ROW], day="soon"), "Line 4, ReqdExctnDt: Write a day like 2026-03-31."),
        (as_pain([(ALICE, "36", "", "1", "")]), "Line 5, CdtrAcct: Enter the number's 9 or 10 digits"),
        (as_pain([(ALICE, BOB, "", "0", "")]), "Line 5, InstdAmt: This is no amount of USD: write it like 1250.50."),
        (as_pain([(ALICE, BOB, "", "0.001", "")]), "Line 5, InstdAmt: This is no amount of USD"),
        (as_pain([ROW], currency="usd"), "Line 5, InstdAmt: Write the currency as its three letters, like USD."),
        (as_pain([(ALICE, BOB, "", "1", "x" * 141)]), "Line 5, RmtInf: This is longer than 140 characters."),
        (as_pain([(ALICE, BOB, "x" * 141, "1", "")]), "Line 5, Nm: This is longer than 140 characters."),
        (as_pain([ROW], message="M" * 36), "Line 3, MsgId: This has 1 to 35 characters."),
        (as_pain([ROW], in_payment="<ChqInstr/>"), "Line 5, ChqInstr: <ChqInstr> cannot stand in <CdtTrfTxInf> here."),
        (as_pain([ROW], in_payment="<v:Purp xmlns:v='urn:other'/>"), "Line 5, Purp: <Purp> cannot stand in <CdtTrfTxInf> here."),
        (as_pain([ROW], in_payment="<CdtrAcct><Id/></CdtrAcct>"), "Line 5, CdtrAcct: <CdtrAcct> stands in <CdtTrfTxInf> twice."),
        (as_pain([ROW], in_payment="money"), "Line 5, CdtTrfTxInf: Text cannot stand in <CdtTrfTxInf> by itself."),
        (changed("<EndToEndId>E1</EndToEndId>", ""), "Line 5, PmtId: <EndToEndId> is missing in <PmtId>."),
        (changed("<EndToEndId>E1", "<EndToEndId> "), "Line 5, EndToEndId: This has 1 to 35 characters."),
        (changed("<PmtMtd>TRF", "<PmtMtd>CHK"), "Line 4, PmtMtd: Only transfers (TRF) are made here. (CHK)"),
        (changed(f"<Othr><Id>{BOB}</Id></Othr>", "<IBAN>DE89370400440532013000</IBAN>"), "Line 5, CdtrAcct: Accounts here have"),
        (changed("</Id></DbtrAcct>", "</Id><Ccy>EUR</Ccy></DbtrAcct>"), "Line 5, InstdAmt: The paying account is said to be kept in EUR."),
        (changed(PAYEES_BANK, PAYEES_BANK.replace("OUR", "OTH")), "Line 5, CdtrAgt: The payee's bank is another"),
        (changed("<Dt>2026-01-31</Dt>", "2026-01-31"), "Line 4, ReqdExctnDt: Text cannot stand in <ReqdExctnDt> by itself."),
    ],
)  # fmt: skip
def test_each_defect_of_a_message_is_named_with_its_line(content, told):
    found = problems(content)

    assert any(problem.startswith(told) for problem in found), found
    assert len(found) <= 2


def test_a_head_office_is_the_same_bank():
    same = changed(PAYEES_BANK, f"{PAYEES_BANK}XXX")
    assert problems(same) == []


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"<html/>", "Line 1, html: This is no payment message."),
        (as_pain([ROW], version="pain.008.001.02"), "Line 2, Document: This is no payment message."),
        (b"<Document/>", "Line 1, Document: This is no payment message."),
        (b"<", "Line 1: This is not well-formed XML"),
        (as_pain([ROW])[:-40], "This is not well-formed XML: nothing behind this place can be read."),
        (as_pain([ROW]).replace(b"UTF-8", b"no-such-encoding"), "This is not well-formed XML"),
    ],
)  # fmt: skip
def test_what_is_no_such_message_is_said_to_be_none(content, told):
    assert told in problems(content)[0]


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "lol"}">' for n in range(10))


@pytest.mark.parametrize(
    "before",
    [
        f"<!DOCTYPE Document [{LAUGHS}]>",
        '<!DOCTYPE Document [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE Document SYSTEM "http://localhost:1/evil.dtd">',
        '<!DOCTYPE Document [<!ENTITY % x SYSTEM "http://localhost:1/evil.dtd"> %x;]>',
        "<!DOCTYPE Document>",
    ],
)
def test_a_document_type_is_refused_whatever_it_would_do(before):
    reference = "&l9;" if "l9" in before else "&x;" if "ENTITY x" in before else "Rent"
    content = as_pain([ROW], before=before).replace(b"Rent", reference.encode())

    assert problems(content) == ["A document type (DTD) stands in this file, and that is not read. Take it out."]


@pytest.mark.parametrize("inside", ["<Purp>", "<CdtrAcct>"])
def test_elements_without_end_are_refused_before_they_fill_the_memory(inside):
    tag = inside.strip("<>")
    content = as_pain([ROW], in_payment=f"<{tag}>" * 1_000 + f"</{tag}>" * 1_000)

    assert any("too deep" in problem for problem in problems(content))


def test_many_attributes_and_a_long_text_are_read_like_any():
    attributes = " ".join(f"a{number}='1'" for number in range(50_000))
    content = as_pain([ROW], in_payment=f"<Purp {attributes}>{'x' * 1_000_000}</Purp>")

    assert problems(content) == []


def test_a_text_of_many_lines_takes_no_more_than_its_length():
    began = time.process_time()

    read(as_pain([ROW], in_payment=f"<RmtInf><Ustrd>{chr(10) * 1_000_000}</Ustrd></RmtInf>"))

    # Were each line put behind a copy of those before, it would take minutes.
    assert time.process_time() - began < 3


@pytest.mark.parametrize("again", ["<MsgId/>", "<Strange/>"])
def test_one_who_has_everything_wrong_is_told_so_a_thousand_times_at_most(again):
    found = problems(as_pain([ROW]).replace(b"<MsgId>", again.encode() * 100_000 + b"<MsgId>"))

    assert len(found) == 1_001
    assert found[-1] == "What stands behind line 3 was not looked at."


# The guide


def test_the_guide_has_every_column_version_and_bound():
    text = GUIDE.read_text()

    assert re.findall(r"^\| `([a-z ]+)` \|", text, re.MULTILINE) == list(delimited.COLUMNS)
    assert set(re.findall(r"`(pain\.001\.001\.\d\d)`", text)) == set(pain.VERSIONS)
    for bounds in (ON_THE_WEB, BY_COMMAND):
        assert f"{bounds.bytes // 1024 // 1024} MiB" in text
        assert f"{bounds.payments:,} payments" in text


def test_the_guides_elements_are_those_that_are_read():
    listed = set(re.findall(r"^\| `([A-Za-z]+/[A-Za-z]+)` \|", GUIDE.read_text(), re.MULTILINE))
    read_here = {
        f"{parent}/{child}"
        for parent in ("GrpHdr", "PmtInf", "CdtTrfTxInf")
        for child, how in re.findall(r"(\w+)([!?+*~])", pain.SHAPE[parent])
        if how != "~"
    }

    assert listed == read_here


@pytest.mark.parametrize("number", [0, 1])
def test_the_guides_examples_can_be_read(number):
    content = re.findall(r"```(?:csv|xml)\n(.*?)```", GUIDE.read_text(), re.DOTALL)[number]

    found = read(content.encode())

    assert found.problems == []
    assert len(found.lines) == 2
