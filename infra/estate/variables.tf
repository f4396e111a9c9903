variable "environment" {
  description = "test or production: everything is called after it."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["test", "production"], var.environment)
    error_message = "environment must be test or production."
  }
}

variable "domain" {
  description = "Where customers find the bank, and the Route 53 zone it belongs to."
  type        = object({ name = string, zone_id = string })
  nullable    = false
}

variable "primary" {
  description = <<-EOT
    The region whose database takes writes; the other one follows it. To change it is to promote a replica, which takes
    more than this value: docs/operating/day-two.md has the steps.
  EOT
  type        = string
  default     = "us-east-1"
  nullable    = false

  validation {
    condition     = contains(["us-east-1", "us-west-2"], var.primary)
    error_message = "primary must be us-east-1 or us-west-2."
  }
}

variable "networks" {
  description = "Each region's addresses, zones with their places in the address plan, and ways out."
  type = object({
    east = object({ cidr = string, zones = map(number), nat = optional(string, "per_zone"), interface_endpoints = optional(set(string)) })
    west = object({ cidr = string, zones = map(number), nat = optional(string, "per_zone"), interface_endpoints = optional(set(string)) })
  })
  nullable = false

  validation {
    condition     = var.networks.east.cidr != var.networks.west.cidr
    error_message = "The regions need addresses that do not overlap, or their networks cannot be joined."
  }
  validation {
    condition     = alltrue([for zone in keys(var.networks.east.zones) : startswith(zone, "us-east-1")]) && alltrue([for zone in keys(var.networks.west.zones) : startswith(zone, "us-west-2")])
    error_message = "networks.east takes zones of us-east-1, networks.west zones of us-west-2."
  }
}

variable "bank" {
  description = "What the pages call the bank, where its day begins (IANA name), and further settings without secrets (docs/reference/settings.md)."
  type = object({
    name     = string
    timezone = string
    settings = optional(map(string), {})
  })
  nullable = false
}

variable "database" {
  description = "Engine, size and backups of both databases, as infra/region explains them."
  type        = any
  default     = {}
  nullable    = false
}

variable "owner_password" {
  description = "The password of the schema's owner, from an ephemeral value: it is never in the state."
  type        = string
  ephemeral   = true
  sensitive   = true
}

variable "owner_password_version" {
  description = "Raise it by one to give the schema's owner a new password."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.owner_password_version >= 1 && floor(var.owner_password_version) == var.owner_password_version
    error_message = "owner_password_version must be a whole number, 1 or more."
  }
}

variable "release" {
  description = "What the servers run: the commit, and the SHA-256 of its archive as `make package` wrote it."
  type        = object({ commit = string, sha256 = string })
  nullable    = false
}

variable "servers" {
  description = "Application servers in each region, as modules/app explains them (size)."
  type        = any
  default     = {}
  nullable    = false
}

variable "roll_out" {
  description = "How a release replaces another, as modules/app explains it."
  type        = any
  default     = {}
  nullable    = false
}

variable "thresholds" {
  description = "When alarms ring, as modules/observability explains it."
  type        = any
  default     = {}
  nullable    = false
}

variable "images" {
  description = "Machine images to stay with, by region; without one, Amazon's newest at each apply."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "emails" {
  description = "Who is told of alarms."
  type        = set(string)
  nullable    = false
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
  default     = 365
  nullable    = false
}

variable "protected" {
  description = "Refuse to delete databases, load balancers and buckets that hold something: for production."
  type        = bool
  default     = true
  nullable    = false
}
