# What comes from the other region stands in variables of its own, and the role is not concluded from them: whatever reads
# an object waits for all that is in it, and the two regions would wait for each other.

variable "environment_name" {
  description = "The environment, like \"bank-production\"; the region's name is added to it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^bank-[a-z]{3,11}$", var.environment_name))
    error_message = "environment_name must be bank- and 3 to 11 small letters: names of load balancers are made from it."
  }
}

variable "domain" {
  description = "Where customers find the bank, and the Route 53 zone it belongs to."
  type        = object({ name = string, zone_id = string })
  nullable    = false
}

variable "network" {
  description = "The region's addresses, its zones with their places in the address plan, and its ways out."
  type = object({
    cidr  = string
    zones = map(number)
    nat   = optional(string, "per_zone")
    # Null: those that modules/network has by itself. None: everything goes through the NAT gateway.
    interface_endpoints = optional(set(string))
  })
  nullable = false
}

variable "peer" {
  description = "The other region's subnets by zone: whose servers reach this database, and where the primary may be."
  type = object({
    private_cidrs  = map(string)
    database_cidrs = map(string)
  })
  nullable = false
}

variable "database" {
  description = "Engine, size and backups, as modules/database explains them, and how many connections the class allows: of the default class about 800 on PostgreSQL, 600 on MySQL."
  type = object({
    engine = optional(string, "postgres")
    size = optional(object({
      instance_class  = optional(string, "db.m7g.large")
      storage_gib     = optional(number, 100)
      max_storage_gib = optional(number, 1000)
      multi_az        = optional(bool, true)
    }), {})
    backups = optional(object({
      days           = optional(number, 35)
      window         = optional(string, "07:00-08:00")
      final_snapshot = optional(bool, true)
    }), {})
    max_connections = optional(number)
  })
  default  = {}
  nullable = false
}

variable "role" {
  description = "Whether this region's database is the primary or the replica."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["primary", "replica"], var.role)
    error_message = "role must be primary or replica."
  }
}

variable "replicate_source_arn" {
  description = "The primary in the other region that a replica follows; null where this is the primary."
  type        = string
  default     = null
}

variable "primary_address" {
  description = "The host of the primary in the other region; null where this is the primary."
  type        = string
  default     = null
}

variable "owner_password" {
  description = "The password of the schema's owner, from an ephemeral value: it is never in the state."
  type        = string
  ephemeral   = true
  sensitive   = true
}

variable "owner_password_version" {
  description = "Raised to let a new owner's password through."
  type        = number
  nullable    = false
}

variable "secrets" {
  description = "This region's copies of the secrets: of the schema's owner, the application's login, its keys (ARNs); and where they can be written."
  type        = object({ owner = string, login = string, keys = string, home_region = string })
  nullable    = false
}

variable "keys" {
  description = "This region's copies of the multi-region KMS keys: for the database's storage, and for secrets (ARNs)."
  type        = object({ storage_arn = string, secrets_arn = string })
  nullable    = false
}

variable "release" {
  description = "What the servers run: the commit, and the SHA-256 of its archive as `make package` wrote it."
  type        = object({ commit = string, sha256 = string })
  nullable    = false
}

variable "permissions_boundary_arn" {
  description = "The policy that bounds every role made here: the pipeline may make no role without it (infra/bootstrap)."
  type        = string
  nullable    = false
}

variable "image_id" {
  description = "A machine image to stay with; null takes Amazon's newest at each apply."
  type        = string
  default     = null
}

variable "settings" {
  description = "The bank's settings by variable (docs/reference/settings.md), without secrets: BANK_NAME, BUSINESS_TIMEZONE ..."
  type        = map(string)
  nullable    = false
}

variable "servers" {
  description = "Application servers: type, how few and how many, and what makes it more; as modules/app explains it."
  type        = any
  default     = {}
  nullable    = false
}

variable "roll_out" {
  description = "How a release replaces another; as modules/app explains it."
  type        = any
  default     = {}
  nullable    = false
}

variable "thresholds" {
  description = "When alarms ring; as modules/observability explains it."
  type        = any
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
  description = "Refuse to delete the database, the load balancer and buckets that hold something."
  type        = bool
  default     = true
  nullable    = false
}
