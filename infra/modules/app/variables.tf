variable "name" {
  description = "What the servers are called, like \"bank-production-us-east-1\"."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,50}$", var.name))
    error_message = "name must be 3 to 51 small letters, digits and hyphens, beginning with a letter."
  }
}

variable "environment_name" {
  description = "The environment that the region belongs to, like \"bank-production\"."
  type        = string
  nullable    = false

  validation {
    condition     = startswith(var.name, "${var.environment_name}-")
    error_message = "name must begin with environment_name: a region belongs to its environment."
  }
}

variable "release" {
  description = "What servers install: the commit, and the SHA-256 of its archive in the artifact bucket."
  type        = object({ commit = string, sha256 = string })
  nullable    = false

  validation {
    condition     = can(regex("^[0-9a-f]{40}$", var.release.commit)) && can(regex("^[0-9a-f]{64}$", var.release.sha256))
    error_message = "release must have a commit of 40 and a sha256 of 64 hexadecimal digits, as `make package` writes them."
  }
}

variable "network" {
  description = "Where servers stand: private subnets by zone, and their security group."
  type = object({
    subnets           = map(string)
    security_group_id = string
  })
  nullable = false

  validation {
    condition     = length(var.network.subnets) >= 2
    error_message = "Servers need subnets in two zones or more, so that the bank survives the loss of one."
  }
}

variable "target_group" {
  description = "Where servers register with the load balancer."
  type        = object({ arn = string, arn_suffix = string })
  nullable    = false
}

variable "load_balancer_arn_suffix" {
  description = "What CloudWatch calls the load balancer, whose requests are counted."
  type        = string
  nullable    = false
}

variable "settings" {
  description = <<-EOT
    The bank's settings that are no secret, by the names in docs/reference/settings.md. BANK_NAME and
    BUSINESS_TIMEZONE are needed. What the module or a secret sets is refused, and so is a name that no setting has.
  EOT
  type        = map(string)
  nullable    = false

  validation {
    condition = length(setsubtract(keys(var.settings), [
      "BANK_NAME", "BUSINESS_TIMEZONE", "CURRENCY", "LIMIT_PER_PAYMENT", "LIMIT_PER_DAY", "CUSTOMER_IDLE_SECONDS",
      "STAFF_IDLE_SECONDS", "SESSION_ABSOLUTE_SECONDS", "ONE_TIME_CODE_SECONDS", "POOL_SIZE", "STATEMENT_SECONDS",
      "PASSWORD_MEMORY_KIB", "PASSWORD_HASHERS", "NAME_CHECKS_PER_DAY",
      "API_CALLS_PER_MINUTE", "GROUP_COMMIT_MOST", "SECURED_SECONDS", "SECURED_BY_URL",
    ])) == 0
    error_message = "settings has a name that is a secret, is set by the module, or is no setting: secrets belong in Secrets Manager, never in user data."
  }
  validation {
    condition     = alltrue([for name in ["BANK_NAME", "BUSINESS_TIMEZONE"] : contains(keys(var.settings), name)])
    error_message = "settings must have BANK_NAME and BUSINESS_TIMEZONE: without them the bank does not open."
  }
  validation {
    condition     = alltrue([for value in values(var.settings) : can(regex("^[^[:cntrl:]]{1,200}$", value))])
    error_message = "settings must be 1 to 200 characters on one line each."
  }
}

variable "database" {
  description = "The database that takes writes, whichever region it is in; and this region's replica of it, if it has one, for pages."
  type        = object({ engine = string, address = string, port = number, replica_address = optional(string) })
  nullable    = false

  validation {
    condition     = contains(["postgres", "mysql"], var.database.engine)
    error_message = "database.engine must be postgres or mysql."
  }
}

variable "secrets" {
  description = <<-EOT
    ARNs of the secrets in this region; the owner's login is for jobs alone. A replicated secret is written only in
    the region it was made in: home_region, when that is not this one.
  EOT
  type = object({
    owner       = string
    login       = string
    keys        = string
    home_region = optional(string)
  })
  nullable = false
}

variable "artifacts" {
  description = "The bucket that releases are fetched from, encrypted with S3's own keys."
  type        = object({ bucket = string, arn = string })
  nullable    = false
}

variable "keys" {
  description = "KMS keys: of the secrets (multi-region, as this region knows it), and of the logs."
  type        = object({ secrets_arn = string, logs_arn = string })
  nullable    = false
}

variable "log_group" {
  description = "Where the bank's log lines and its metrics go."
  type        = object({ name = string, arn = string })
  nullable    = false
}

variable "rollback_alarms" {
  description = "Names of the alarms that take a roll-out back."
  type        = list(string)
  nullable    = false
}

variable "size" {
  description = <<-EOT
    Instance type and disk in GiB, least and most servers, and what each should be busy with: CPU in per cent, requests
    a minute. The defaults for these two are guesses until a load test on this instance type says better.
  EOT
  type = object({
    instance_type       = optional(string, "m7i.large")
    least               = optional(number, 2)
    most                = optional(number, 6)
    disk_gib            = optional(number, 20)
    cpu_percent         = optional(number, 50)
    requests_per_server = optional(number, 3000)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.size.least >= 2
    error_message = "size.least must be 2 or more: one server has no other to take over."
  }
  validation {
    condition     = var.size.most > var.size.least
    error_message = "size.most must be more than size.least, or a roll-out has no room for a new server beside the old ones."
  }
  validation {
    condition     = var.size.disk_gib >= 10
    error_message = "size.disk_gib must be 10 or more: the image alone takes 8."
  }
}

variable "roll_out" {
  description = <<-EOT
    How the pipeline replaces servers: how many stay healthy, how many there may be meanwhile (in per cent), how long a
    new one is watched, and after which shares of new servers it waits for how long.
  EOT
  type = object({
    min_healthy_percent = optional(number, 100)
    max_healthy_percent = optional(number, 150)
    warm_up_seconds     = optional(number, 120)
    checkpoint_percents = optional(list(number), [50, 100])
    checkpoint_seconds  = optional(number, 120)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.roll_out.min_healthy_percent >= 90 && var.roll_out.min_healthy_percent <= 100
    error_message = "roll_out.min_healthy_percent must be 90 to 100: customers must not notice a roll-out."
  }
  validation {
    condition     = var.roll_out.max_healthy_percent > 100 && var.roll_out.max_healthy_percent - var.roll_out.min_healthy_percent <= 100
    error_message = "roll_out.max_healthy_percent must be above 100, and by 100 at most above min_healthy_percent."
  }
  validation {
    condition     = try(reverse(var.roll_out.checkpoint_percents)[0] == 100 && alltrue([for index in range(1, length(var.roll_out.checkpoint_percents)) : var.roll_out.checkpoint_percents[index] > var.roll_out.checkpoint_percents[index - 1]]), false)
    error_message = "roll_out.checkpoint_percents must rise and end with 100, or some servers would never be replaced."
  }
}

variable "image_id" {
  description = "A machine image to stay with; null takes Amazon's newest at each apply."
  type        = string
  default     = null
}

variable "permissions_boundary_arn" {
  description = "The policy that bounds the roles made here, whatever they are given: bank-<environment>-boundary of infra/bootstrap. Null where none does."
  type        = string
  default     = null
}
