output "alarms" {
  description = "The alarms' names, by region and question."
  value       = { for key, alarm in aws_cloudwatch_metric_alarm.region : key => alarm.alarm_name }
}
