# Route 53's metrics are in us-east-1 alone, wherever the load balancers are.
data "aws_region" "here" {
  lifecycle {
    postcondition {
      condition     = self.name == "us-east-1"
      error_message = "This module belongs to us-east-1: nowhere else are the metrics of Route 53's health checks."
    }
  }
}

locals {
  alarms = merge(
    {
      for region, check in var.health_checks : "${region}-does-not-serve" => {
        heading = "does-not-serve"
        check   = check.serves
        says    = "${region} does not serve pages, seen from outside; its customers are sent to the other region. See its load balancer's and servers' alarms."
        minutes = 1
      }
    },
    {
      for region, check in var.health_checks : "${region}-takes-no-payments" => {
        heading = "takes-no-payments"
        check   = check.writes
        says    = "${region} takes no payments; pages can still be read. In both regions: the primary database. In one: the way to it."
        minutes = 2
      }
    },
  )
}

resource "aws_cloudwatch_metric_alarm" "region" {
  for_each = local.alarms

  alarm_name        = "${var.name}-${each.key}"
  alarm_description = "Now: ${each.value.says} ${var.runbook}#${each.value.heading}"

  namespace           = "AWS/Route53"
  metric_name         = "HealthCheckStatus"
  dimensions          = { HealthCheckId = each.value.check }
  statistic           = "Minimum"
  period              = 60
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  evaluation_periods  = each.value.minutes
  datapoints_to_alarm = each.value.minutes
  # Health checks report all the time; one that does not is gone.
  treat_missing_data = "breaching"

  alarm_actions = [var.topic_arn]
  ok_actions    = [var.topic_arn]

  depends_on = [data.aws_region.here]
}
