# What the controller and the agents have in common: image, network, logs, Session Manager, and how they become what they are.

data "aws_region" "here" {}
data "aws_caller_identity" "here" {}
data "aws_partition" "here" {}

# Debian 12, since that is what the tests run on: they install PostgreSQL, MariaDB and Chromium from its archive, and its
# Python is the 3.11 of the bank's servers. One system for all hosts is one way to install it.
data "aws_ssm_parameter" "debian" {
  count = var.image_id == null ? 1 : 0
  name  = "/aws/service/debian/release/12/latest/amd64"
}

locals {
  region  = data.aws_region.here.name
  account = data.aws_caller_identity.here.account_id
  arn     = "arn:${data.aws_partition.here.partition}"
  image   = var.image_id == null ? one(data.aws_ssm_parameter.debian[*].insecure_value) : var.image_id
  # The one zone that has the controller and its volume.
  zone   = sort(keys(var.network.subnets))[0]
  domain = "${var.name}.internal"
  labels = keys(var.agents)
  hosts  = concat(["controller"], local.labels)

  # host => its role's name; infra/bootstrap knows the agents' by theirs.
  role_names = merge({ controller = "${var.name}-controller" }, { for label in local.labels : label => "${var.name}-${label}-agent" })
}

# --- who reaches whom ---------------------------------------------------------------------------------------------

resource "aws_security_group" "controller" {
  name        = "${var.name}-controller"
  description = "Jenkins: reached by its agents alone; people come through Session Manager"
  vpc_id      = var.network.vpc_id
  tags        = { Name = "${var.name}-controller" }
}

resource "aws_security_group" "agents" {
  name        = "${var.name}-agents"
  description = "Agents: reached by nobody"
  vpc_id      = var.network.vpc_id
  tags        = { Name = "${var.name}-agents" }
}

resource "aws_vpc_security_group_ingress_rule" "controller_from_agents" {
  security_group_id            = aws_security_group.controller.id
  description                  = "WebSocket from the agents"
  referenced_security_group_id = aws_security_group.agents.id
  ip_protocol                  = "tcp"
  from_port                    = 8080
  to_port                      = 8080
}

resource "aws_vpc_security_group_egress_rule" "agents_to_controller" {
  security_group_id            = aws_security_group.agents.id
  description                  = "WebSocket to the controller"
  referenced_security_group_id = aws_security_group.controller.id
  ip_protocol                  = "tcp"
  from_port                    = 8080
  to_port                      = 8080
}

resource "aws_vpc_security_group_egress_rule" "https" {
  for_each = { controller = aws_security_group.controller.id, agents = aws_security_group.agents.id }

  security_group_id = each.value
  description       = "TLS to AWS, the repository and package archives"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

# --- what they may do ---------------------------------------------------------------------------------------------

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "host" {
  for_each = local.role_names

  name               = each.value
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

resource "aws_iam_instance_profile" "host" {
  for_each = local.role_names

  name = each.value
  role = aws_iam_role.host[each.key].name
}

# Not AWS's own AmazonSSMManagedInstanceCore: it reads every parameter of the account.
data "aws_iam_policy_document" "base" {
  for_each = toset(local.hosts)

  statement {
    sid = "SessionManager"
    actions = [
      "ssm:UpdateInstanceInformation", "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
      "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel",
    ]
    resources = ["*"]
  }
  statement {
    sid       = "Logs"
    actions   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    resources = ["${local.arn}:logs:${local.region}:${local.account}:log-group:/${var.name}/${each.key}:*"]
  }
}

resource "aws_iam_role_policy" "base" {
  for_each = toset(local.hosts)

  name   = "session-manager-and-logs"
  role   = aws_iam_role.host[each.key].id
  policy = data.aws_iam_policy_document.base[each.key].json
}

resource "aws_cloudwatch_log_group" "host" {
  for_each = toset(local.hosts)

  name              = "/${var.name}/${each.key}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.key_arn
}

# --- how they become what they are --------------------------------------------------------------------------------

locals {
  # Shell variables, read by scripts and units alike; no secret is among them.
  environment = {
    for host in local.hosts : host => merge(
      {
        AWS_REGION         = local.region
        AWS_DEFAULT_REGION = local.region
        PREFIX             = var.name
      },
      host == "controller" ? {
        AWS_ACCOUNT_ID         = local.account
        GIT_USERNAME           = var.repository.username
        JENKINS_VERSION        = var.versions.jenkins
        OPTIONAL_SECRETS       = join(" ", [for name, secret in local.secrets : name if !secret.required])
        PLUGIN_MANAGER_VERSION = var.versions.plugin_manager
        REPOSITORY             = var.repository.url
        REQUIRED_SECRETS       = join(" ", [for name, secret in local.secrets : name if secret.required])
        } : {
        CONTROLLER_URL    = "http://jenkins.${local.domain}:8080"
        LABEL             = host
        TERRAFORM_SHA256  = var.versions.terraform_sha256
        TERRAFORM_VERSION = var.versions.terraform
      },
    )
  }
  log_files = {
    for host in local.hosts : host => concat(
      [{ file_path = "/var/log/cloud-init-output.log", log_stream_name = "{instance_id}/installation" }],
      host == "controller" ?
      [{ file_path = "/var/log/jenkins/jenkins.log", log_stream_name = "{instance_id}/jenkins" }] :
      [{ file_path = "/var/log/jenkins-agent.log", log_stream_name = "{instance_id}/agent" }],
    )
  }

  # path on the host => the file here
  programs = {
    for host in local.hosts : host => concat(["prepare-host"], host == "controller" ? ["install-jenkins", "fetch-secrets", "publish-agent-keys"] : ["install-agent", "fetch-agent-key"])
  }
  files = {
    for host in local.hosts : host => concat(
      [for program in local.programs[host] : { path = "/usr/local/sbin/${program}", permissions = "0755", content = file("${path.module}/host/${program}") }],
      [
        { path = "/usr/local/lib/bank-cicd/trust.sh", permissions = "0644", content = file("${path.module}/host/trust.sh") },
        { path = "/etc/bank-cicd.env", permissions = "0644", content = join("", [for name, value in local.environment[host] : "${name}=\"${value}\"\n"]) },
        { path = "/etc/bank-cicd-logs.json", permissions = "0644", content = jsonencode({
          agent = { run_as_user = "root" }
          logs = { logs_collected = { files = { collect_list = [
            for log in local.log_files[host] : merge(log, { log_group_name = "/${var.name}/${host}", retention_in_days = -1 })
          ] } } }
        }) },
        { path = "/etc/logrotate.d/bank-cicd", permissions = "0644", content = "/var/log/jenkins/jenkins.log /var/log/jenkins-agent.log {\n  size 50M\n  rotate 5\n  compress\n  copytruncate\n  missingok\n}\n" },
      ],
      host == "controller" ? [
        { path = "/etc/systemd/system/jenkins.service.d/bank.conf", permissions = "0644", content = file("${path.module}/host/jenkins.conf") },
        { path = "/etc/jenkins/plugins.txt", permissions = "0644", content = file("${path.module}/jenkins/plugins.txt") },
        { path = "/etc/jenkins/agents.groovy", permissions = "0644", content = file("${path.module}/jenkins/agents.groovy") },
        { path = "/etc/jenkins/casc/jenkins.yaml", permissions = "0644", content = file("${path.module}/jenkins/jenkins.yaml") },
        { path = "/etc/jenkins/casc/nodes.yaml", permissions = "0644", content = yamlencode(local.nodes_as_code) },
        ] : [
        { path = "/etc/systemd/system/jenkins-agent.service", permissions = "0644", content = file("${path.module}/host/jenkins-agent.service") },
      ],
      # Tests install packages, and make networks and file systems of their own.
      host == "build" ? [
        { path = "/etc/systemd/system/jenkins-agent.service.d/root.conf", permissions = "0644", content = "[Service]\nUser=root\nGroup=root\n" },
      ] : [],
    )
  }
  cloud_config = {
    for host in local.hosts : host => join("\n", ["#cloud-config", yamlencode({
      # The same number on every host, so that files on the home volume keep their owner when the controller is replaced.
      users      = ["default", { name = "jenkins", uid = "2000", homedir = host == "controller" ? "/var/lib/jenkins" : "/var/lib/jenkins-agent", no_create_home = true, shell = "/bin/bash", lock_passwd = true }]
      ssh_pwauth = false
      apt = {
        primary  = [{ arches = ["default"], uri = "https://deb.debian.org/debian" }]
        security = [{ arches = ["default"], uri = "https://deb.debian.org/debian-security" }]
      }
      write_files = local.files[host]
      runcmd      = [["/usr/local/sbin/prepare-host"], [host == "controller" ? "/usr/local/sbin/install-jenkins" : "/usr/local/sbin/install-agent"]]
    })])
  }
}
