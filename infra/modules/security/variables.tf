variable "name" {
  description = "What the groups are called after, like \"bank-production-us-east-1\"."
  type        = string
  nullable    = false
}

variable "vpc_id" {
  description = "The network that the groups belong to."
  type        = string
  nullable    = false
}

variable "ports" {
  description = "Where the application listens; the database's port follows its engine."
  type = object({
    app      = optional(number, 8000)
    database = number
  })
  nullable = false

  validation {
    condition     = contains([5432, 3306], var.ports.database)
    error_message = "ports.database must be 5432 (PostgreSQL) or 3306 (MySQL)."
  }
}

variable "peer_private_cidrs" {
  description = <<-EOT
    The other region's private subnets by zone. A group cannot name a group across regions, so the
    other region's servers reach this database by their addresses.
  EOT
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for cidr in values(var.peer_private_cidrs) : can(cidrhost(cidr, 0)) && tonumber(split("/", cidr)[1]) >= 16])
    error_message = "peer_private_cidrs must be single subnets of the other region, /16 or smaller."
  }
}

variable "peer_database_cidrs" {
  description = "The other region's database subnets by zone: where this region's servers find the primary."
  type        = map(string)
  default     = {}
  nullable    = false
}
