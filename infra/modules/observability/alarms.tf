locals {
  # Requests that customers made, whether or not a server was there to take them.
  asked = "(FILL(requests, 0) + FILL(load_balancer_errors, 0))"

  # `when`: Now wakes somebody, Today can wait for the morning. `missing` is what no data means: "notBreaching" where nothing
  # is reported while nothing happens, "breaching" where silence is bad news, "ignore" where what was said last stays true.
  # `of` = [so many, of so many] periods.
  every_alarm = merge(
    {
      load-balancer-errors = {
        when       = "Now"
        says       = "${var.thresholds.error_percent} % or more of the requests fail before a server answers. See whether servers are healthy; roll back what was released in the last hour."
        metrics    = ["requests", "load_balancer_errors"]
        expression = "IF(${local.asked} >= ${var.thresholds.at_least_requests}, 100 * FILL(load_balancer_errors, 0) / ${local.asked}, 0)"
        at_least   = var.thresholds.error_percent
        of         = [3, 5]
        missing    = "notBreaching"
      }
      server-errors = {
        when       = "Now"
        says       = "${var.thresholds.error_percent} % or more of the requests end in an error of the bank itself. Read the errors on the dashboard; roll back what was released in the last hour."
        metrics    = ["requests", "server_errors"]
        expression = "IF(FILL(requests, 0) >= ${var.thresholds.at_least_requests}, 100 * FILL(server_errors, 0) / FILL(requests, 0), 0)"
        at_least   = var.thresholds.error_percent
        of         = [3, 5]
        missing    = "notBreaching"
      }
      slow-answers = {
        when       = "Now"
        says       = "The slowest of a hundred answers take ${var.thresholds.latency_seconds} s or longer. Look at the database's CPU and disk first."
        metrics    = ["requests", "latency"]
        expression = "IF(FILL(requests, 0) >= ${var.thresholds.at_least_requests}, latency, 0)"
        at_least   = var.thresholds.latency_seconds
        of         = [5, 5]
        missing    = "notBreaching"
      }
      # The group replaces such a server by itself; this is when that takes too long, or does not help.
      servers-unhealthy = {
        when     = "Now"
        says     = "There was a server that cannot serve for ${var.thresholds.unhealthy_minutes} minutes, and the group did not mend it. See what it logs, and whether it has the new release."
        metrics  = ["unhealthy"]
        at_least = 1
        of       = [var.thresholds.unhealthy_minutes, var.thresholds.unhealthy_minutes]
        missing  = "notBreaching"
      }
      group-too-small = {
        when       = "Today"
        says       = "Fewer servers are in service than the group wants, for 15 minutes. Read the group's activity: it says what could not be started."
        metrics    = ["in_service", "wanted"]
        expression = "wanted - in_service"
        at_least   = 1
        of         = [15, 15]
        missing    = "breaching"
      }

      server-disk = {
        when     = "Today"
        says     = "A server's disk is ${var.thresholds.server_disk_percent} % full or fuller. Replace the server by another, then see what filled it."
        metrics  = ["server_disk"]
        at_least = var.thresholds.server_disk_percent
        seconds  = 300
        of       = [3, 3]
        missing  = "notBreaching"
      }

      # While no server can report, a broken ledger is still broken.
      ledger-broken = {
        when     = "Now"
        says     = "The ledger does not add up. Stop end-of-day jobs, change nothing by hand, run bank ledger verify and read what it finds."
        metrics  = ["findings"]
        at_least = 1
        of       = [1, 1]
        missing  = "ignore"
      }
      # Silence rings as well: an alarm that only a working server could raise would be quiet when none works.
      ledger-not-verified = {
        when       = "Now"
        says       = "The ledger was not verified for ${var.thresholds.verified_hours} hours, or no server reports. See whether servers report at all, then the timer bank-verify."
        metrics    = ["verified_ago"]
        expression = "verified_ago / 3600"
        at_least   = var.thresholds.verified_hours
        seconds    = 300
        of         = [3, 3]
        missing    = "breaching"
      }
      # Silence is told by ledger-not-verified.
      database-away = {
        when    = "Now"
        says    = "A server does not reach the primary database. See whether RDS is failing over, and whether the other region sees it."
        metrics = ["database_up"]
        below   = 1
        of      = [3, 3]
        missing = "notBreaching"
      }

      database-cpu = {
        when     = "Today"
        says     = "The database's CPU is at ${var.thresholds.cpu_percent} % or more for 15 minutes. Find the statement in Performance Insights before you scale."
        metrics  = ["database_cpu"]
        at_least = var.thresholds.cpu_percent
        seconds  = 300
        of       = [3, 3]
        missing  = "notBreaching"
      }
      # A full database stops reporting, and is still full.
      database-storage = {
        when       = "Now"
        says       = "Less than ${var.thresholds.storage_free_percent} % of ${var.database.storage_gib} GiB is free, and the storage did not grow by itself. Raise max_storage_gib, and find what fills it."
        metrics    = ["free_storage"]
        expression = "100 * free_storage / ${var.database.storage_gib * pow(1024, 3)}"
        below      = var.thresholds.storage_free_percent
        seconds    = 300
        of         = [3, 3]
        missing    = "ignore"
      }
      database-memory = {
        when       = "Today"
        says       = "Less than ${var.thresholds.memory_free_mib} MiB of the database's memory is free for 15 minutes. See whether connections grew; else take the next larger class."
        metrics    = ["free_memory"]
        expression = "free_memory / ${pow(1024, 2)}"
        below      = var.thresholds.memory_free_mib
        seconds    = 300
        of         = [3, 3]
        missing    = "notBreaching"
      }
      database-connections = {
        when       = "Now"
        says       = "${var.thresholds.connections_percent} % or more of ${var.database.max_connections} connections are taken for 5 minutes. See who holds them; do not add servers."
        metrics    = ["connections"]
        expression = "100 * connections / ${var.database.max_connections}"
        at_least   = var.thresholds.connections_percent
        of         = [5, 5]
        missing    = "notBreaching"
      }
      database-disk-slow = {
        when       = "Today"
        says       = "The database waits ${var.thresholds.disk_milliseconds} ms or longer for its disk for 15 minutes. Look for a large statement or a backup; else give the disk more IOPS."
        metrics    = ["read_latency", "write_latency"]
        expression = "1000 * IF(read_latency > write_latency, read_latency, write_latency)"
        at_least   = var.thresholds.disk_milliseconds
        seconds    = 300
        of         = [3, 3]
        missing    = "notBreaching"
      }
      # PostgreSQL stops writing after two billion; autovacuum forces itself at a tenth of that.
      database-transaction-ids = {
        when     = "Today"
        says     = "PostgreSQL has used half of its transaction ids since the oldest row was frozen: vacuum does not keep up. Find the transaction or the table that holds it back."
        metrics  = ["transaction_ids"]
        at_least = 1000000000
        seconds  = 3600
        of       = [1, 1]
        missing  = "notBreaching"
      }
      # A replica that has stopped reports -1. One that says nothing may be gone.
      replica-lag = {
        when       = "Now"
        says       = "The replica is ${var.thresholds.replica_lag_seconds} s or more behind its primary, or has stopped to follow. Do not promote it while it lags."
        metrics    = ["replica_lag"]
        expression = "IF(replica_lag < 0, 86400, replica_lag)"
        at_least   = var.thresholds.replica_lag_seconds
        of         = [5, 5]
        missing    = "breaching"
      }

      firewall-surge = {
        when     = "Today"
        says     = "The firewall blocked ${var.thresholds.blocked_per_5_minutes} requests or more in each of three times 5 minutes. See which rule blocks: a rate rule that blocks customers, or an attack that it holds off."
        metrics  = ["blocked"]
        at_least = var.thresholds.blocked_per_5_minutes
        seconds  = 300
        of       = [3, 3]
        missing  = "notBreaching"
      }
    },
    {
      for id, zone in local.zones : "zone-without-server-${zone}" => {
        heading = "zone-without-server"
        when    = "Now"
        says    = "No healthy server in ${zone}. The other zones carry the load; see the group's activity, and AWS's health page for the zone."
        metrics = [id]
        below   = 1
        of      = [3, 3]
        missing = "breaching"
      }
    },
  )

  # What does not exist is not watched.
  absent = concat(
    var.role == "replica" ? [] : ["replica-lag"],
    var.database.engine == "postgres" ? [] : ["database-transaction-ids"],
  )
  alarms = { for key, alarm in local.every_alarm : key => alarm if !contains(local.absent, key) }

  # Made of the name alone, so that the group of servers can name them before they are there.
  rollback_alarms = [for key in ["server-errors", "servers-unhealthy", "slow-answers"] : "${var.name}-${key}"]
}

resource "aws_cloudwatch_metric_alarm" "bank" {
  for_each = local.alarms

  alarm_name        = "${var.name}-${each.key}"
  alarm_description = "${each.value.when}: ${each.value.says} ${var.runbook}#${try(each.value.heading, each.key)}"

  comparison_operator = can(each.value.below) ? "LessThanThreshold" : "GreaterThanOrEqualToThreshold"
  threshold           = try(each.value.below, each.value.at_least)
  datapoints_to_alarm = each.value.of[0]
  evaluation_periods  = each.value.of[1]
  treat_missing_data  = each.value.missing

  dynamic "metric_query" {
    for_each = { for id in each.value.metrics : id => local.metrics[id] }
    content {
      id          = metric_query.key
      label       = metric_query.value.label
      return_data = !can(each.value.expression)
      metric {
        namespace   = metric_query.value.namespace
        metric_name = metric_query.value.name
        dimensions  = metric_query.value.dimensions
        stat        = metric_query.value.stat
        period      = try(each.value.seconds, 60)
      }
    }
  }

  dynamic "metric_query" {
    for_each = can(each.value.expression) ? [each.value.expression] : []
    content {
      id          = "judged"
      label       = each.key
      expression  = metric_query.value
      return_data = true
    }
  }

  alarm_actions = [aws_sns_topic.alarms.arn]
  ok_actions    = [aws_sns_topic.alarms.arn]

  # An alarm that rings before it may speak is not heard.
  depends_on = [aws_sns_topic_policy.alarms]
}

locals {
  rings = { for key, alarm in aws_cloudwatch_metric_alarm.bank : key => format("ALARM(%q)", alarm.alarm_name) }
}

# The one that says it all: errors, or no healthy server in any zone.
resource "aws_cloudwatch_composite_alarm" "customers_cannot_bank" {
  alarm_name        = "${var.name}-customers-cannot-bank"
  alarm_description = "Now: customers of this region cannot bank. See whether the other region serves, then the alarms that ring with this one. ${var.runbook}#customers-cannot-bank"

  alarm_rule = join(" OR ", [
    local.rings["load-balancer-errors"],
    local.rings["server-errors"],
    format("(%s)", join(" AND ", [for zone in sort(var.zones) : local.rings["zone-without-server-${zone}"]])),
  ])

  alarm_actions = [aws_sns_topic.alarms.arn]
  ok_actions    = [aws_sns_topic.alarms.arn]
}
