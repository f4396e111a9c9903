# The secret store's part: Terraform makes the places, and an operator puts the values there (docs/operating/jenkins.md), so that
# no value is ever in a state. Their names are those that jenkins/jenkins.yaml reads.
locals {
  secrets = {
    admin-password            = { required = true, about = "Jenkins' administrator" }
    release-checkers-password = { required = true, about = "The account that approves releases" }
    git-password              = { required = false, about = "Password or token that reads the repository" }
    aws-access-key-id         = { required = false, about = "For AWS_CREDENTIALS=store: the access key" }
    aws-secret-access-key     = { required = false, about = "For AWS_CREDENTIALS=store: its secret half" }
  }
}

resource "aws_secretsmanager_secret" "jenkins" {
  for_each = local.secrets

  name                    = "${var.name}/${each.key}"
  description             = each.value.about
  kms_key_id              = var.key_arn
  recovery_window_in_days = var.protected ? 30 : 0
}

# Each agent's own key: written by the controller, read by that agent's kind.
resource "aws_secretsmanager_secret" "agent" {
  for_each = local.nodes

  name                    = "${var.name}/agent-${each.key}"
  description             = "Lets the agent ${each.key} in"
  kms_key_id              = var.key_arn
  recovery_window_in_days = 0
}
