variable "name" {
  description = "What alarms, dashboard and logs of the region begin with, like \"bank-production-us-east-1\"; the firewall has this name, too."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,50}$", var.name))
    error_message = "name must be 3 to 51 small letters, digits and hyphens, beginning with a letter."
  }
}

variable "role" {
  description = "primary or replica: what the region's database is. Only a replica can lag behind."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["primary", "replica"], var.role)
    error_message = "role must be primary or replica."
  }
}

variable "load_balancer" {
  description = "What CloudWatch calls the load balancer."
  type        = object({ arn_suffix = string })
  nullable    = false
}

variable "target_group" {
  description = "What CloudWatch calls the group of servers behind the load balancer."
  type        = object({ arn_suffix = string })
  nullable    = false
}

variable "group" {
  description = "The auto scaling group's name; it must publish GroupInServiceInstances and GroupDesiredCapacity."
  type        = string
  nullable    = false
}

variable "zones" {
  description = "The availability zones that servers stand in: each has an alarm of its own."
  type        = set(string)
  nullable    = false

  validation {
    condition     = length(var.zones) >= 2
    error_message = "zones must name two zones or more, as the network does."
  }
}

variable "database" {
  description = "The region's database: what CloudWatch calls it, how many connections its class takes, its storage in GiB at first, its engine."
  type = object({
    identifier      = string
    max_connections = number
    storage_gib     = number
    engine          = optional(string, "postgres")
  })
  nullable = false

  validation {
    condition     = contains(["postgres", "mysql"], var.database.engine)
    error_message = "database.engine must be postgres or mysql."
  }

  validation {
    condition     = var.database.max_connections >= 20 && var.database.storage_gib >= 20
    error_message = "database.max_connections and database.storage_gib must be 20 or more: RDS has no smaller ones, and alarms are parts of them."
  }
}

variable "keys" {
  description = "KMS key of this region that encrypts logs and what alarms say; its policy must let cloudwatch.amazonaws.com use it."
  type        = object({ logs_arn = string })
  nullable    = false
}

variable "emails" {
  description = "Who is told when an alarm rings and when it is over. Each address confirms once, by the mail that AWS sends it."
  type        = set(string)
  nullable    = false

  validation {
    condition     = length(var.emails) >= 1
    error_message = "emails must name someone: nobody hears an alarm without."
  }

  validation {
    condition     = alltrue([for email in var.emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[a-z]{2,}$", email))])
    error_message = "emails must be addresses like operators@bank.example.org."
  }
}

variable "thresholds" {
  description = <<-EOT
    When alarms ring. Of requests: error_percent and latency_seconds (of the slowest of a hundred), judged in minutes of
    at_least_requests or more; unhealthy_minutes of a server that cannot serve; server_disk_percent. Of the database: the rest down to
    replica_lag_seconds. verified_hours: since the ledger was last verified. blocked_per_5_minutes: by the firewall.
  EOT
  type = object({
    error_percent         = optional(number, 5)
    at_least_requests     = optional(number, 20)
    latency_seconds       = optional(number, 2)
    unhealthy_minutes     = optional(number, 6)
    server_disk_percent   = optional(number, 85)
    cpu_percent           = optional(number, 80)
    connections_percent   = optional(number, 80)
    storage_free_percent  = optional(number, 8)
    memory_free_mib       = optional(number, 256)
    disk_milliseconds     = optional(number, 20)
    replica_lag_seconds   = optional(number, 60)
    verified_hours        = optional(number, 26)
    blocked_per_5_minutes = optional(number, 2000)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.thresholds.error_percent > 0 && var.thresholds.error_percent <= 50 && var.thresholds.at_least_requests >= 1
    error_message = "error_percent must be more than 0 and at most 50, at_least_requests 1 or more: a bank of which half fails must not be quiet."
  }

  validation {
    condition     = var.thresholds.latency_seconds > 0 && var.thresholds.latency_seconds < 60
    error_message = "latency_seconds must be more than 0 and less than 60, when gunicorn gives a request up."
  }

  validation {
    condition     = var.thresholds.unhealthy_minutes >= 3 && var.thresholds.unhealthy_minutes <= 30
    error_message = "unhealthy_minutes must be 3 to 30: the group needs some to replace a server, and after half an hour a roll-out has passed."
  }

  validation {
    condition = alltrue([
      for percent in [var.thresholds.cpu_percent, var.thresholds.connections_percent, var.thresholds.server_disk_percent] : percent >= 10 && percent <= 95
    ])
    error_message = "cpu_percent, connections_percent and server_disk_percent must be 10 to 95: at 100 it is too late to mend."
  }

  validation {
    condition     = var.thresholds.storage_free_percent >= 1 && var.thresholds.storage_free_percent <= 9
    error_message = "storage_free_percent must be 1 to 9: at 10 RDS lets the storage grow by itself, and the alarm says that it did not."
  }

  validation {
    condition     = var.thresholds.memory_free_mib >= 64 && var.thresholds.disk_milliseconds >= 1
    error_message = "memory_free_mib must be 64 or more and disk_milliseconds 1 or more: below, the alarm would come too late or always."
  }

  validation {
    condition     = var.thresholds.replica_lag_seconds >= 5 && var.thresholds.replica_lag_seconds <= 3600
    error_message = "replica_lag_seconds must be 5 to 3600: what the replica lacks is lost when it has to become the primary."
  }

  validation {
    condition     = var.thresholds.verified_hours >= 25 && var.thresholds.verified_hours <= 48
    error_message = "verified_hours must be 25 to 48: the ledger is verified once a night, and two nights without must not pass."
  }

  validation {
    condition     = var.thresholds.blocked_per_5_minutes >= 100
    error_message = "blocked_per_5_minutes must be 100 or more: anything on the internet is probed all day."
  }
}

variable "log_retention_days" {
  description = "How long the application's log is kept."
  type        = number
  default     = 365
  nullable    = false

  validation {
    condition     = contains([30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be a number of days that CloudWatch knows, from 30 to 3653: 30, 60, 90, 180, 365, 731, ..."
  }
}

variable "runbook" {
  description = "Where operators read what an alarm means and what to do: an https address, or the file in the repository."
  type        = string
  default     = "docs/operating/alarms.md"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9:/._-]+$", var.runbook))
    error_message = "runbook must be an address or a path, without spaces: a heading is added to it."
  }
}
