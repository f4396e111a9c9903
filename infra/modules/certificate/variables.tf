variable "domain" {
  description = "Where customers find the bank, like \"bank.example.org\"."
  type        = string
  nullable    = false
}

variable "alternatives" {
  description = "Further names that the load balancer answers to: the region's own, by which it is asked for its health."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for name in var.alternatives : endswith(name, ".${var.domain}")])
    error_message = "alternatives must lie below the domain, like us-east-1.bank.example.org."
  }
}

variable "zone_id" {
  description = "The Route 53 zone that the names belong to, where ownership is proved."
  type        = string
  nullable    = false
}
