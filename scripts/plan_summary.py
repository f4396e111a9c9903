"""Say in a few lines what a Terraform plan would do, and refuse one that takes away what keeps data.

Reads `terraform show -json PLAN` from standard input. Needs Python alone, and prints addresses, never values.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from typing import Any

# To lose one of these is to lose what customers or auditors rely on, and an apply of the code before does not bring it back.
KEEPS_DATA = {
    "aws_backup_vault",
    "aws_cloudwatch_log_group",
    "aws_db_instance",
    "aws_db_instance_automated_backups_replication",
    "aws_ebs_volume",
    "aws_kms_key",
    "aws_kms_replica_key",
    "aws_route53_zone",
    "aws_s3_bucket",
    "aws_secretsmanager_secret",
}
TAKES_AWAY = ("destroy", "replace", "forget")
WORDS = {
    ("create",): "create",
    ("update",): "change",
    ("delete",): "destroy",
    ("delete", "create"): "replace",
    ("create", "delete"): "replace",
    ("forget",): "forget",
}


def changes(plan: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What would happen, to which type of thing, at which address."""
    found = []
    for resource in plan.get("resource_changes", []):
        actions = tuple(resource["change"]["actions"])
        # What no word is known for is shown as Terraform calls it, rather than left out.
        if actions not in (("no-op",), ("read",)):
            found.append((WORDS.get(actions, "-".join(actions)), resource["type"], resource["address"]))
    outputs = plan.get("output_changes", {})
    return found + [("change", "output", f"output.{name}") for name in outputs if outputs[name]["actions"] != ["no-op"]]


def summary(found: list[tuple[str, str, str]]) -> list[str]:
    """How many of each; what is taken away by name."""
    counts = Counter(word for word, type_, _ in found if type_ != "output")
    head = ", ".join(f"{counts[word]} to {word}" for word in sorted(counts)) or "nothing"
    return [f"Plan: {head}."] + [f"  {word}: {address}" for word, _, address in found if word in TAKES_AWAY]


def main(arguments: list[str]) -> int:
    """Print the summary; answer 1 if the plan must not be applied."""
    found = changes(json.load(sys.stdin))
    if arguments == ["--drift"]:
        print("\n".join(f"{word}: {address}" for word, _, address in found) or "no resource and no output would change")
        return 0
    print("\n".join(summary(found)))
    lost = [address for word, type_, address in found if word in ("destroy", "replace") and type_ in KEEPS_DATA]
    if lost and os.environ.get("ALLOW_DESTROY") != "yes":
        print(
            f"Refused: {', '.join(lost)} would be destroyed, with the data. If that is meant, plan again with ALLOW_DESTROY=yes.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
