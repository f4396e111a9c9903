// Runs each time Jenkins has started: leaves every agent's own key where publish-agent-keys takes it from. The key is derived
// from the node's name and this Jenkins' own secret, so it changes only with a new home.
import hudson.slaves.SlaveComputer
import jenkins.model.Jenkins

def folder = new File(System.getenv('AGENT_KEYS'))
Jenkins.get().computers.findAll { it instanceof SlaveComputer }.each { computer ->
    new File(folder, computer.name).text = computer.jnlpMac
}
