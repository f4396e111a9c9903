variable "name" {
  description = "What everything here is called; the pipeline's roles know the agents' roles by it."
  type        = string
  default     = "bank-cicd"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,20}$", var.name))
    error_message = "name must be 3 to 21 small letters, digits and hyphens, beginning with a letter."
  }
}

variable "environments" {
  description = "What the agents deploy: the environments of infra/bootstrap."
  type        = set(string)
  default     = ["production", "test"]
  nullable    = false
}

variable "environment_of_branches" {
  description = "The environment that branches may plan, as infra/bootstrap has it."
  type        = string
  default     = "test"
  nullable    = false

  validation {
    condition     = contains(var.environments, var.environment_of_branches) && var.environment_of_branches != "production"
    error_message = "environment_of_branches must be one of environments, and never production: branches are code that nobody has reviewed."
  }
}

variable "network" {
  description = "Where the hosts stand: the network and its private subnets by zone. The controller and its volume are in the zone that comes first."
  type = object({
    vpc_id  = string
    subnets = map(string)
  })
  nullable = false

  validation {
    condition     = length(var.network.subnets) >= 1
    error_message = "network.subnets must name a private subnet."
  }
}

variable "repository" {
  description = "Where the bank's source is, and who reads it; the password or token is in the secret store (git-password)."
  type = object({
    url      = string
    username = optional(string, "git")
  })
  nullable = false

  validation {
    condition     = can(regex("^https://[A-Za-z0-9.-]+(:[0-9]+)?/[A-Za-z0-9._~/-]+$", var.repository.url))
    error_message = "repository.url must be an https address without a user, a password or characters that would end a string."
  }
  validation {
    condition     = can(regex("^[A-Za-z0-9._@-]{1,100}$", var.repository.username))
    error_message = "repository.username must be letters, digits and . _ @ - alone."
  }
}

variable "versions" {
  description = "Jenkins (LTS), the tool that installs its plugins, and Terraform with the SHA-256 of its unpacked program for Linux on x86-64."
  type = object({
    jenkins        = optional(string, "2.580.1")
    plugin_manager = optional(string, "2.15.0")
    terraform      = optional(string, "1.11.4")
    # Measured with `sha256sum` of the program in terraform_1.11.4_linux_amd64.zip.
    terraform_sha256 = optional(string, "268000fca5c61021c6396893d9483007ba589ad9d0aaccbd7dfa8c78bf7dbe23")
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^2\\.[0-9]+\\.[0-9]+$", var.versions.jenkins))
    error_message = "versions.jenkins must be of the LTS line, like 2.580.1: weekly releases have two numbers."
  }
  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.versions.terraform_sha256))
    error_message = "versions.terraform_sha256 must be 64 hexadecimal digits: without it no agent would know a tampered Terraform."
  }
  validation {
    condition     = alltrue([for version in [var.versions.plugin_manager, var.versions.terraform] : can(regex("^[0-9]+\\.[0-9]+\\.[0-9]+$", version))])
    error_message = "versions must be exact, like 1.11.4."
  }
}

variable "controller" {
  description = "The controller: its class, its root disk, and in GiB the volume that holds Jenkins' home."
  type = object({
    instance_type = optional(string, "t3.medium")
    disk_gib      = optional(number, 20)
    home_gib      = optional(number, 50)
  })
  default  = {}
  nullable = false
}

variable "agents" {
  description = "How many agents of each label, of which class, with which disk in GiB, and how many builds each runs at once."
  type = object({
    build  = optional(object({ count = optional(number, 2), instance_type = optional(string, "m7i.xlarge"), disk_gib = optional(number, 60), executors = optional(number, 1) }), {})
    plan   = optional(object({ count = optional(number, 1), instance_type = optional(string, "t3.medium"), disk_gib = optional(number, 30), executors = optional(number, 1) }), {})
    deploy = optional(object({ count = optional(number, 1), instance_type = optional(string, "t3.medium"), disk_gib = optional(number, 30), executors = optional(number, 1) }), {})
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.agents.build.count >= 2
    error_message = "Label build needs 2 agents or more: one that main and dev have for themselves, and one for all other branches."
  }
  validation {
    condition     = alltrue([for agent in values(var.agents) : agent.count >= 1 && agent.count <= 9 && agent.executors >= 1])
    error_message = "Each label needs 1 to 9 agents with an executor or more: without one its stages would wait for ever."
  }
}

variable "backup_days" {
  description = "Days that daily snapshots of Jenkins' home are kept."
  type        = number
  default     = 35
  nullable    = false

  validation {
    condition     = var.backup_days >= 7
    error_message = "backup_days must be 7 or more: damage may be noticed only after a weekend."
  }
}

variable "protected" {
  description = "Keep Jenkins' home: refuse to end the controller, take a last snapshot of its volume, make daily ones, and let secrets be got back for 30 days."
  type        = bool
  default     = true
  nullable    = false
}

variable "key_arn" {
  description = "KMS key for logs, secrets and Jenkins' home."
  type        = string
  nullable    = false
}

variable "log_retention_days" {
  description = "Days that the hosts' logs are kept."
  type        = number
  default     = 90
  nullable    = false
}

variable "image_id" {
  description = "An image of Debian 12 for x86-64; null takes the newest one that the Debian project has published."
  type        = string
  default     = null
}
