"""Folders of transactions from another bank: checked row by row, brought in through the door."""
