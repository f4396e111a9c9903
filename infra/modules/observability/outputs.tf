output "log_group" {
  description = "Where servers send the bank's log."
  value       = { name = aws_cloudwatch_log_group.app.name, arn = aws_cloudwatch_log_group.app.arn }
}

output "topic_arn" {
  description = "Where alarms are told, once they may speak there."
  value       = aws_sns_topic.alarms.arn
  depends_on  = [aws_sns_topic_policy.alarms]
}

output "rollback_alarms" {
  description = "Names of the alarms that take a release back while it is rolled out; made of var.name alone, so that nothing waits for them."
  value       = local.rollback_alarms
}

output "dashboard_url" {
  description = "The region's dashboard."
  value       = "https://${local.region}.console.aws.amazon.com/cloudwatch/home?region=${local.region}#dashboards/dashboard/${aws_cloudwatch_dashboard.bank.dashboard_name}"
}
