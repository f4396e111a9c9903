output "session" {
  description = "Brings Jenkins to http://localhost:8080 of whoever may start a session."
  value       = "aws ssm start-session --region us-east-1 --target ${module.jenkins.controller} --document-name AWS-StartPortForwardingSession --parameters portNumber=8080,localPortNumber=8080"
}

output "secrets" {
  description = "What waits for a value, and whether Jenkins starts without it."
  value       = module.jenkins.secrets
}

output "home" {
  description = "The volume that holds Jenkins' home."
  value       = module.jenkins.home
}
