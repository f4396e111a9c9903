"""What a server is told at its start, rendered by Terraform from modules/app as it stands."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import yaml

from tests.infra.terraform import copy_of_infra, initialise, terraform

ACCOUNT = "123456789012"
REGION = "us-east-1"
MOST_BYTES = 16_384


def variables(**changed: Any) -> dict[str, Any]:
    """The module's variables for a test environment."""
    return {
        "name": f"bank-test-{REGION}",
        "environment_name": "bank-test",
        "release": {"commit": "0" * 40, "sha256": "0" * 64},
        "network": {"subnets": {"us-east-1a": "subnet-a", "us-east-1b": "subnet-b"}, "security_group_id": "sg-0"},
        "target_group": {"arn": "arn:aws:elasticloadbalancing:::targetgroup", "arn_suffix": "targetgroup/bank/0"},
        "load_balancer_arn_suffix": "app/bank/0",
        "settings": {"BANK_NAME": "Test Bank", "BUSINESS_TIMEZONE": "America/New_York"},
        "database": {"engine": "postgres", "address": "127.0.0.1", "port": 5432},
        "secrets": {name: secret_arn(name) for name in ("owner", "login", "keys")},
        "artifacts": {"bucket": "bank-test-artifacts", "arn": "arn:aws:s3:::bank-test-artifacts"},
        "keys": {"secrets_arn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/mrk-0", "logs_arn": "arn:aws:kms:::key/1"},
        "log_group": {"name": f"/bank-test-{REGION}/app", "arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/bank"},
        "rollback_alarms": ["bank-test-5xx"],
        **changed,
    }


def secret_arn(name: str, region: str = REGION) -> str:
    return f"arn:aws:secretsmanager:{region}:{ACCOUNT}:secret:bank-test/{name}-AbCdEf"


class Rendering:
    """modules/app, ready to be rendered with any variables."""

    def __init__(self, directory: Path) -> None:
        self.module = copy_of_infra(directory) / "modules/app"
        initialise(self.module)

    def user_data(self, role: str, **changed: Any) -> bytes:
        """What AWS hands to a server of this role: compressed, as it counts against the limit."""
        values = self.module / "test.tfvars.json"
        values.write_text(json.dumps(variables(**changed)))
        done = terraform(self.module, "console", f"-var-file={values}", stdin=f"local.user_data.{role}\n")
        assert done.returncode == 0, done.stdout
        return base64.b64decode(json.loads(done.stdout.splitlines()[-1]), validate=True)

    def cloud_config(self, role: str, **changed: Any) -> str:
        """What cloud-init reads."""
        return gzip.decompress(self.user_data(role, **changed)).decode()


def files(cloud_config: str) -> dict[str, tuple[str, int]]:
    """The files that cloud-init writes, by path: content and mode."""
    return {
        file["path"]: (file["content"], int(file["permissions"], 8))
        for file in yaml.safe_load(cloud_config)["write_files"]
    }
