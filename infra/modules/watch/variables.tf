variable "name" {
  description = "What the alarms' names begin with, like \"bank-production\"."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,50}$", var.name))
    error_message = "name must be 3 to 51 small letters, digits and hyphens, beginning with a letter."
  }
}

variable "health_checks" {
  description = "The health checks' ids by region, as modules/dns gives them."
  type        = map(object({ serves = string, writes = string }))
  nullable    = false

  validation {
    condition     = length(var.health_checks) >= 2
    error_message = "health_checks must name two regions or more: the alarms say what the other region does meanwhile."
  }
}

variable "topic_arn" {
  description = "Where alarms are told: the topic of modules/observability in us-east-1."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z-]+:sns:us-east-1:[0-9]{12}:[A-Za-z0-9_-]+$", var.topic_arn))
    error_message = "topic_arn must be a topic in us-east-1: alarms only reach topics of their own region."
  }
}

variable "runbook" {
  description = "Where operators read what an alarm means and what to do: an https address, or the file in the repository."
  type        = string
  default     = "docs/operating/alarms.md"
  nullable    = false
}
