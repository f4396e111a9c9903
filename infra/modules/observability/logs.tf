# The bank's JSON lines. The CloudWatch agent on each server sends them.
resource "aws_cloudwatch_log_group" "app" {
  name              = "/${var.name}/app"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.keys.logs_arn
}
