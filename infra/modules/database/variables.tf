variable "name" {
  description = "What the database is called, like \"bank-production-us-east-1\"."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,50}$", var.name))
    error_message = "name must be 3 to 51 small letters, digits and hyphens, beginning with a letter."
  }
}

variable "engine" {
  description = "postgres or mysql: DATABASE_URL follows it."
  type        = string
  default     = "postgres"
  nullable    = false

  validation {
    condition     = contains(["postgres", "mysql"], var.engine)
    error_message = "engine must be postgres or mysql."
  }
}

variable "role" {
  description = <<-EOT
    primary takes writes; replica follows the database named by replicate_source_arn. After a replica was promoted
    its role becomes primary here, too: docs/operating/day-two.md has the steps.
  EOT
  type        = string
  nullable    = false

  validation {
    condition     = contains(["primary", "replica"], var.role)
    error_message = "role must be primary or replica."
  }
}

variable "replicate_source_arn" {
  description = "The primary that a replica follows, in the other region; null for a primary."
  type        = string
  default     = null

  validation {
    condition     = (var.role == "replica") == (var.replicate_source_arn != null)
    error_message = "A replica needs replicate_source_arn, and a primary must not have one."
  }
}

variable "network" {
  description = "Where the database stands: its subnets by zone and its security group."
  type = object({
    subnets           = map(string)
    security_group_id = string
  })
  nullable = false

  validation {
    condition     = length(var.network.subnets) >= 2
    error_message = "A database with a standby needs subnets in two zones or more."
  }
}

variable "size" {
  description = "Instance class, storage in GiB, and how far the storage may grow by itself."
  type = object({
    instance_class  = optional(string, "db.m7g.large")
    storage_gib     = optional(number, 100)
    max_storage_gib = optional(number, 1000)
    multi_az        = optional(bool, true)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.size.max_storage_gib > var.size.storage_gib
    error_message = "size.max_storage_gib must be more than size.storage_gib, so that a full disk never stops payments."
  }
}

variable "backups" {
  description = "Days that backups and the logs for point-in-time recovery are kept; and whether a last one is made before the end, and the others outlive the database for as many days."
  type = object({
    days           = optional(number, 35)
    window         = optional(string, "07:00-08:00")
    final_snapshot = optional(bool, true)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.backups.days >= 7 && var.backups.days <= 35
    error_message = "backups.days must be 7 to 35: the restore drill rewinds a week, and AWS keeps no more than 35 days."
  }
}

variable "keys" {
  description = "KMS keys of this region: for the storage (of one multi-region key, so that the replica can read it) and for logs."
  type = object({
    storage_arn = string
    logs_arn    = string
  })
  nullable = false
}

variable "monitoring" {
  description = "Enhanced monitoring every so many seconds, Performance Insights and logs kept for so many days."
  type = object({
    interval_seconds = optional(number, 60)
    insights_days    = optional(number, 7)
    log_days         = optional(number, 365)
  })
  default  = {}
  nullable = false
}

variable "deletion_protection" {
  description = "Refuse to delete the database."
  type        = bool
  default     = true
  nullable    = false
}

variable "password" {
  description = "The owner's password, from an ephemeral value: it is never in the state. Null for a replica, which has its primary's."
  type        = string
  default     = null
  ephemeral   = true
  sensitive   = true
}

variable "password_version" {
  description = "Raise it to let a new password through to the database: what is never in the state cannot be compared."
  type        = number
  default     = 1
  nullable    = false
}

variable "permissions_boundary_arn" {
  description = "The policy that bounds the roles made here, whatever they are given: bank-<environment>-boundary of infra/bootstrap. Null where none does."
  type        = string
  default     = null
}
