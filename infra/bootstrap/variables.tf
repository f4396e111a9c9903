variable "environments" {
  description = "What the pipeline deploys; each has a state bucket and two roles of its own."
  type        = set(string)
  default     = ["production", "test"]
  nullable    = false

  validation {
    condition     = alltrue([for name in var.environments : can(regex("^[a-z]{3,11}$", name)) && name != "cicd"])
    error_message = "environments must be names of 3 to 11 small letters, and cicd is not one that the pipeline may deploy: it would deploy itself."
  }
}

variable "environment_of_branches" {
  description = <<-EOT
    The environment whose plan any branch may make, reviewed or not; the others are planned by the agents that deploy. Who
    plans can read the schema owner's password: so whoever may push a branch can read this environment's.
  EOT
  type        = string
  default     = "test"
  nullable    = false

  validation {
    condition     = contains(var.environments, var.environment_of_branches) && var.environment_of_branches != "production"
    error_message = "environment_of_branches must be one of environments, and never production: branches are code that nobody has reviewed."
  }
}

variable "domains" {
  description = "By environment, its domain as in infra/live: a deployment changes DNS records of this name and those below it, and no others."
  type        = map(string)
  nullable    = false

  validation {
    condition     = toset(keys(var.domains)) == var.environments
    error_message = "domains must name a domain for each environment, and for nothing else."
  }
  validation {
    condition     = alltrue([for domain in values(var.domains) : can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", domain))])
    error_message = "domains must be whole names in small letters, like bank.example.org, without wildcards."
  }
}

variable "regions" {
  description = "Where the bank runs: the pipeline may work nowhere else."
  type        = set(string)
  default     = ["us-east-1", "us-west-2"]
  nullable    = false

  validation {
    condition     = contains(var.regions, "us-east-1")
    error_message = "regions must hold us-east-1: the state, and AWS's global services, are there."
  }
}

variable "further_principals" {
  description = <<-EOT
    Who may take the pipeline's roles besides its own agents, by environment and role: ARNs of users or roles of this
    account. The user whose access key lies in Jenkins' credential store belongs here.
  EOT
  type = map(object({
    plan   = optional(set(string), [])
    deploy = optional(set(string), [])
  }))
  default  = {}
  nullable = false

  validation {
    condition = alltrue(flatten([for roles in values(var.further_principals) : [
      for arn in setunion(roles.plan, roles.deploy) : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(user|role)/[A-Za-z0-9+=,.@_/-]+$", arn))
    ]]))
    error_message = "further_principals must be whole ARNs of users or roles, without wildcards."
  }
  validation {
    condition     = alltrue([for name in keys(var.further_principals) : contains(var.environments, name)])
    error_message = "further_principals must name environments that exist."
  }
}

variable "state_days" {
  description = "Days that replaced versions of a state are kept: how far back a broken state can be mended."
  type        = number
  default     = 90
  nullable    = false

  validation {
    condition     = var.state_days >= 30
    error_message = "state_days must be 30 or more: a broken state may stay unnoticed until the next deployment."
  }
}

variable "protected" {
  description = "Refuse to delete a state bucket that holds anything."
  type        = bool
  default     = true
  nullable    = false
}
