"""Read a root's plan (`terraform show -json`) and fail if it would change anything but the emulator's artefacts.

`artefacts.json` lists these by root: address, attributes and the reason.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ARTEFACTS = Path(__file__).with_name("artefacts.json")


def any_unknown(value: Any) -> bool:
    """Is anything in it known only after the apply? Lists and objects stand there for known values, too."""
    if isinstance(value, dict | list):
        return any(any_unknown(each) for each in (value.values() if isinstance(value, dict) else value))
    return bool(value)


def changed_attributes(change: dict[str, Any]) -> set[str]:
    """The attributes that would differ, among them those whose new value is not known yet."""
    before, after = change["before"] or {}, change["after"] or {}
    differ = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    return differ | {name for name, unknown in change["after_unknown"].items() if any_unknown(unknown)}


def changes_in(plan: dict[str, Any]) -> set[tuple[str, str]]:
    """What would change: address and attribute, the attribute `create`, `delete` ... where it is the whole resource."""
    found: set[tuple[str, str]] = set()
    for resource in plan.get("resource_changes", []):
        actions = resource["change"]["actions"]
        if actions == ["update"]:
            found |= {(resource["address"], name) for name in changed_attributes(resource["change"])}
        elif actions != ["no-op"]:
            found.add((resource["address"], " and ".join(actions)))
    for name, change in plan.get("output_changes", {}).items():
        if change["actions"] != ["no-op"]:
            found.add((f"output.{name}", " and ".join(change["actions"])))
    return found


def main() -> int:
    """Compare; say what is new, and what is listed but no longer occurs."""
    found = changes_in(json.load(sys.stdin))
    artefacts = json.loads(ARTEFACTS.read_text())[sys.argv[1]]
    listed = {(each["address"], name) for each in artefacts for name in each["attributes"]}
    for address, name in sorted(found - listed):
        print(f"Not empty: {address} would change in {name}.")
    for address, name in sorted(listed - found):
        print(f"No longer occurs: {address}, {name}. Take it out of {ARTEFACTS.name}.")
    if found == listed:
        print(f"Nothing would change, but for {len(listed)} artefacts of the emulator.")
    return found != listed


if __name__ == "__main__":
    sys.exit(main())
