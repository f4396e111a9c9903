"""Why a folder cannot be loaded."""

from __future__ import annotations

from bank.errors import Conflict, Invalid


class FolderUnreadable(Invalid):
    """A file of the folder is missing, damaged, or not laid out as it must be."""

    code = "folder_unreadable"


class WrongCurrency(Conflict):
    """The folder's amounts are in another currency than the bank's."""

    code = "wrong_currency"

    def __init__(self, folder: str, bank: str) -> None:
        super().__init__(f"The folder's amounts are in {folder}, and this bank keeps {bank}. Set CURRENCY={folder}.")


class NumberInUse(Conflict):
    """A number that the folder's rows would get belongs to somebody else here."""

    code = "number_in_use"

    def __init__(self, what: str, number: str) -> None:
        super().__init__(f"{what} {number} exists in this bank and is not from such a folder. Nothing was loaded.")
