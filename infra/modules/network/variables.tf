variable "name" {
  description = "What this network's parts are called, like \"bank-production-us-east-1\"."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,40}$", var.name))
    error_message = "name must be 3 to 41 small letters, digits and hyphens, beginning with a letter."
  }
}

variable "cidr" {
  description = "The region's addresses: a private /16 that no other region of the bank has."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^(10\\.[0-9]{1,3}|172\\.(1[6-9]|2[0-9]|3[01])|192\\.168)\\.0\\.0/16$", var.cidr)) && can(cidrhost(var.cidr, 1))
    error_message = "cidr must be a /16 of the private ranges (RFC 1918), like 10.20.0.0/16."
  }
}

variable "zones" {
  description = <<-EOT
    The availability zones, each with its place in the address plan. A zone keeps its place for ever: adding
    or removing another one then leaves its subnets, and the servers in them, as they are.
  EOT
  type        = map(number)
  nullable    = false

  validation {
    condition     = length(var.zones) >= 2
    error_message = "zones must name two availability zones or more: a load balancer and a database standby need them."
  }
  validation {
    condition     = length(distinct(values(var.zones))) == length(var.zones) && alltrue([for place in values(var.zones) : place >= 0 && place <= 5])
    error_message = "Each zone needs a place of its own from 0 to 5 in the address plan."
  }
}

variable "nat" {
  description = "How servers reach the internet: per_zone (survives the loss of a zone), single (cheaper) or none."
  type        = string
  default     = "per_zone"
  nullable    = false

  validation {
    condition     = contains(["per_zone", "single", "none"], var.nat)
    error_message = "nat must be per_zone, single or none."
  }
}

variable "flow_logs" {
  description = "What is kept of the traffic: for how many days, under which KMS key."
  type = object({
    retention_days = optional(number, 90)
    kms_key_arn    = string
  })
  nullable = false
}

variable "interface_endpoints" {
  description = "AWS services that servers reach without the internet."
  type        = set(string)
  default     = ["ec2messages", "kms", "logs", "monitoring", "secretsmanager", "ssm", "ssmmessages"]
  nullable    = false
}

variable "permissions_boundary_arn" {
  description = "The policy that bounds the roles made here, whatever they are given: bank-<environment>-boundary of infra/bootstrap. Null where none does."
  type        = string
  default     = null
}
