# Every metric that an alarm or the dashboard asks for, once. The keys are the metrics' ids in alarms' expressions.
locals {
  load_balancer = { LoadBalancer = var.load_balancer.arn_suffix }
  target_group  = { LoadBalancer = var.load_balancer.arn_suffix, TargetGroup = var.target_group.arn_suffix }
  servers       = { AutoScalingGroupName = var.group }
  database      = { DBInstanceIdentifier = var.database.identifier }
  bank          = { bank = var.name }

  zones = { for zone in var.zones : "healthy_${replace(zone, "-", "_")}" => zone }

  metrics = merge(
    {
      # Counts only requests that reached a server; what the load balancer refuses itself is in load_balancer_errors alone.
      requests             = { namespace = "AWS/ApplicationELB", name = "RequestCount", stat = "Sum", dimensions = local.load_balancer, label = "requests" }
      load_balancer_errors = { namespace = "AWS/ApplicationELB", name = "HTTPCode_ELB_5XX_Count", stat = "Sum", dimensions = local.load_balancer, label = "errors of the load balancer" }
      server_errors        = { namespace = "AWS/ApplicationELB", name = "HTTPCode_Target_5XX_Count", stat = "Sum", dimensions = local.target_group, label = "errors of servers" }
      latency              = { namespace = "AWS/ApplicationELB", name = "TargetResponseTime", stat = "p99", dimensions = local.target_group, label = "slowest of a hundred, s" }
      latency_median       = { namespace = "AWS/ApplicationELB", name = "TargetResponseTime", stat = "p50", dimensions = local.target_group, label = "median, s" }
      unhealthy            = { namespace = "AWS/ApplicationELB", name = "UnHealthyHostCount", stat = "Maximum", dimensions = local.target_group, label = "unhealthy" }

      in_service    = { namespace = "AWS/AutoScaling", name = "GroupInServiceInstances", stat = "Minimum", dimensions = local.servers, label = "in service" }
      wanted        = { namespace = "AWS/AutoScaling", name = "GroupDesiredCapacity", stat = "Maximum", dimensions = local.servers, label = "wanted" }
      server_cpu    = { namespace = "AWS/EC2", name = "CPUUtilization", stat = "Average", dimensions = local.servers, label = "CPU, %" }
      server_memory = { namespace = "Bank", name = "mem_used_percent", stat = "Maximum", dimensions = local.bank, label = "memory, %" }
      server_disk   = { namespace = "Bank", name = "disk_used_percent", stat = "Maximum", dimensions = local.bank, label = "disk, %" }

      database_cpu    = { namespace = "AWS/RDS", name = "CPUUtilization", stat = "Average", dimensions = local.database, label = "CPU, %" }
      connections     = { namespace = "AWS/RDS", name = "DatabaseConnections", stat = "Maximum", dimensions = local.database, label = "connections" }
      free_storage    = { namespace = "AWS/RDS", name = "FreeStorageSpace", stat = "Minimum", dimensions = local.database, label = "free storage, bytes" }
      free_memory     = { namespace = "AWS/RDS", name = "FreeableMemory", stat = "Minimum", dimensions = local.database, label = "free memory, bytes" }
      read_latency    = { namespace = "AWS/RDS", name = "ReadLatency", stat = "Average", dimensions = local.database, label = "a read, s" }
      write_latency   = { namespace = "AWS/RDS", name = "WriteLatency", stat = "Average", dimensions = local.database, label = "a write, s" }
      transaction_ids = { namespace = "AWS/RDS", name = "MaximumUsedTransactionIDs", stat = "Maximum", dimensions = local.database, label = "transaction ids used" }
      replica_lag     = { namespace = "AWS/RDS", name = "ReplicaLag", stat = "Maximum", dimensions = local.database, label = "behind the primary, s" }

      database_up  = { namespace = "Bank", name = "bank_database_up", stat = "Minimum", dimensions = local.bank, label = "every server sees the database" }
      findings     = { namespace = "Bank", name = "bank_ledger_findings", stat = "Maximum", dimensions = local.bank, label = "findings" }
      verified_ago = { namespace = "Bank", name = "bank_ledger_verified_seconds_ago", stat = "Minimum", dimensions = local.bank, label = "verified, seconds ago" }
      entries      = { namespace = "Bank", name = "bank_ledger_entries", stat = "Maximum", dimensions = local.bank, label = "entries verified" }

      # Our firewall's metrics have the name that modules/alb gives it.
      blocked = { namespace = "AWS/WAFV2", name = "BlockedRequests", stat = "Sum", dimensions = { WebACL = var.name, Rule = "ALL", Region = local.region }, label = "blocked" }
    },
    {
      for id, zone in local.zones : id => {
        namespace  = "AWS/ApplicationELB", name = "HealthyHostCount", stat = "Minimum"
        dimensions = merge(local.target_group, { AvailabilityZone = zone })
        label      = zone
      }
    },
  )
}
