variable "domain" {
  description = "Where customers find the bank, like \"bank.example.org\"."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,}$", var.domain))
    error_message = "domain must be a name of small letters like bank.example.org."
  }
}

variable "zone_id" {
  description = "The Route 53 zone that the domain belongs to."
  type        = string
  nullable    = false
}

variable "regions" {
  description = "The load balancers by region: name and zone as AWS gives them."
  type        = map(object({ name = string, zone_id = string }))
  nullable    = false

  validation {
    condition     = length(var.regions) == 2
    error_message = "regions must name two load balancers: customers of a lost region go to the other one."
  }
}

variable "health" {
  description = "How soon a region counts as lost, or as taking no payments: asked every 10 or 30 seconds, so many failures in a row."
  type = object({
    interval_seconds = optional(number, 10)
    failures         = optional(number, 2)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains([10, 30], var.health.interval_seconds) && var.health.failures >= 1 && var.health.failures <= 10
    error_message = "Route 53 asks every 10 or 30 seconds, and counts 1 to 10 failures."
  }
}
