variable "repository" {
  description = "Where the bank's source is, and who reads it; the password or token goes into the secret store."
  type        = object({ url = string, username = optional(string, "git") })
}

variable "zones" {
  description = "Availability zones with their places in the address plan, as modules/network explains them."
  type        = map(number)
  default     = { us-east-1a = 0, us-east-1b = 1 }
}

variable "controller" {
  description = "Class and disks of the controller, as modules/cicd explains them."
  type        = any
  default     = {}
}

variable "agents" {
  description = "Number, class and disks of the agents by label, as modules/cicd explains them."
  type        = any
  default     = {}
}

variable "protected" {
  description = "Keep Jenkins' home and its secrets, whatever is destroyed."
  type        = bool
  default     = true
}

variable "image_id" {
  description = "An image of Debian 12; null takes the newest."
  type        = string
  default     = null
}
