variable "name" {
  description = "What the load balancer is called, like \"bank-production-us-east-1\"; AWS allows 32 characters."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,27}$", var.name))
    error_message = "name must be 3 to 28 small letters, digits and hyphens: names of target groups are made from it."
  }
}

variable "network" {
  description = "Where the load balancer stands: the network, its public subnets by zone, its security group."
  type = object({
    vpc_id            = string
    public_subnets    = map(string)
    security_group_id = string
  })
  nullable = false

  validation {
    condition     = length(var.network.public_subnets) >= 2
    error_message = "A load balancer needs public subnets in two zones or more."
  }
}

variable "certificate_arn" {
  description = "The region's own ACM certificate, validated."
  type        = string
  nullable    = false
}

variable "app" {
  description = <<-EOT
    How the application is reached and asked for its health: whether this server is alive, and not whether the database
    is, or the group would replace every server while the database is away. A new server is let in by /readyz. Its keep-alive must be longer than the load balancer's
    idle timeout: the load balancer is then the one that closes, and never sends a request into a closing connection.
  EOT
  type = object({
    port               = optional(number, 8000)
    health_path        = optional(string, "/healthz")
    keep_alive_seconds = optional(number, 75)
    drain_seconds      = optional(number, 30)
  })
  default  = {}
  nullable = false
}

variable "idle_timeout_seconds" {
  description = "How long the load balancer keeps an idle connection."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.idle_timeout_seconds < var.app.keep_alive_seconds
    error_message = "idle_timeout_seconds must be less than app.keep_alive_seconds, or customers see 502 when both close at once."
  }
}

variable "logs" {
  description = "Access logs and the firewall's: kept for how many days. They hold addresses of pages, so nobody but operators reads them."
  type = object({
    retention_days = optional(number, 365)
    force_destroy  = optional(bool, false)
  })
  default  = {}
  nullable = false
}

variable "requests_per_5_minutes" {
  description = "From one address, beyond which the firewall answers 403."
  type        = number
  default     = 2000
  nullable    = false

  validation {
    condition     = var.requests_per_5_minutes >= 100
    error_message = "requests_per_5_minutes must be 100 or more: one customer's pages and files come to some dozens."
  }
}

variable "deletion_protection" {
  description = "Refuse to delete the load balancer."
  type        = bool
  default     = true
  nullable    = false
}

variable "log_kms_key_arn" {
  description = "Encrypts the firewall's log."
  type        = string
  nullable    = false
}
