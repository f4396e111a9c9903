/*
 * Runs a declarative Jenkinsfile without Jenkins and records what it does, a JSON object to a line.
 *
 * Reads a JSON list of scenarios: {"name", "text" of the Jenkinsfile, "branch", "credentials", "failing"}. `failing` are
 * regular expressions: a step `sh` whose command, its variables replaced, matches one of them fails. Agents get a folder each; what `make` leaves there is modelled in `Make`, so that a stash, an archive or a file read has to be
 * there. Steps and sections that are not known here are errors. What this cannot show: Jenkins' sandbox, its suspending
 * and resuming of scripts, its plugins.
 */
import groovy.json.JsonOutput
import groovy.json.JsonSlurper
import org.codehaus.groovy.control.CompilerConfiguration

class StepFailed extends RuntimeException {
  StepFailed(String message) { super(message) }
}

/** What the targets leave in the folder, as far as later steps ask for it. */
class Make {
  static int plans = 0

  static void run(String command, Map<String, String> files, Map<String, String> env) {
    def made = command =~ /\bmake ([a-z-]+)/
    if (!made) { return }
    def environment = (command =~ /\bENV=(\w+)/).with { it ? it[0][1] : null }
    switch (made[0][1]) {
      case 'test-storage': files["build/junit/storage-${(command =~ /DIALECT=(\w+)/)[0][1]}.xml".toString()] = ''; break
      case 'test': files['build/junit/tests.xml'] = ''; break
      case 'test-pages': files['build/junit/pages.xml'] = ''; break
      case 'test-infra': files['build/junit/infra.xml'] = ''; break
      case 'package':
        files['build/package/release.json'] = 'release'
        files['build/package/bank-0123.tar.gz'] = 'archive'
        break
      case 'plan':
        require(files, 'build/package/release.json')
        def plan = "plan ${++plans} of ${environment}".toString()
        files["build/plans/${environment}.tfplan".toString()] = plan
        files["build/plans/${environment}.tfplan.sha256".toString()] = digest(plan) + '\n'
        files["build/plans/${environment}.txt".toString()] = 'text'
        files["build/plans/${environment}.summary.txt".toString()] = 'Plan: 1 to change.\n'
        break
      case 'drift': files["build/plans/${environment}-drift.txt".toString()] = 'text'; break
      case 'apply':
        def plan = require(files, "build/plans/${environment}.tfplan".toString())
        if (env.PLAN_SHA256 != digest(plan)) { throw new StepFailed('this plan was not looked at') }
        files["build/deployment/${environment}.json".toString()] = 'deployment'
        break
      case 'upload': require(files, 'build/package/bank-0123.tar.gz'); break
    }
  }

  static String require(Map<String, String> files, String path) {
    if (!(path in files)) { throw new StepFailed("there is no ${path} in this folder") }
    files[path]
  }

  static String digest(String text) { "sha256 of ${text}".toString() }
}

/** A `name(...)` or `name { ... }` of the declarative syntax, kept until it is its turn. */
class Block {
  static final Map<String, List<String>> KNOWN = [
    pipeline: ['agent', 'parameters', 'options', 'environment', 'triggers', 'stages', 'post'],
    stage: ['agent', 'options', 'environment', 'when', 'steps', 'stages', 'parallel', 'matrix', 'post'],
    matrix: ['agent', 'axes', 'stages', 'post'],
    axis: ['name', 'values'],
    agent: ['label'],
    when: ['branch', 'anyOf', 'beforeAgent'],
    anyOf: ['branch'],
    post: ['always', 'unsuccessful', 'failure', 'success', 'cleanup'],
    options: ['timeout', 'disableConcurrentBuilds', 'disableRestartFromStage', 'buildDiscarder', 'logRotator', 'skipStagesAfterUnstable'],
    parameters: ['choice', 'booleanParam', 'string'],
    triggers: ['cron'],
  ]
  static final Map<String, String> INSIDE = [stages: 'stage', parallel: 'stage', axes: 'axis']

  String kind
  Script script
  Map<String, Object> parts = [:]
  List<Map> stages = []

  static Block of(String kind, Script script, Closure body) {
    def block = new Block(kind: kind, script: script)
    def copy = body.clone()
    copy.delegate = block
    copy.resolveStrategy = Closure.DELEGATE_ONLY
    copy()
    block
  }

  def propertyMissing(String name) {
    if (name == 'none' || name == 'any') { return name }
    if (name in ['env', 'params']) { return script.getProperty(name) }
    throw new MissingPropertyException("'${name}' means nothing in ${kind}")
  }

  void propertyMissing(String name, Object value) {
    if (kind != 'environment') { throw new MissingPropertyException("'${name}' cannot be set in ${kind}") }
    parts[name] = value.toString()
  }

  def methodMissing(String name, Object arguments) {
    def given = arguments as List
    def inside = INSIDE[kind]
    if (inside) {
      if (name != inside) { throw new IllegalArgumentException("'${name}' does not belong in ${kind}") }
      stages << [name: given.size() > 1 ? given[0] : null, block: of(inside, script, given[-1])]
      return null
    }
    if (!(name in KNOWN[kind])) { throw new IllegalArgumentException("'${name}' does not belong in ${kind}") }
    if (name == 'axis' || name in ['stages', 'parallel', 'axes', 'matrix', 'options', 'environment', 'parameters', 'triggers', 'post', 'when', 'anyOf']
        || (name == 'agent' && given[0] instanceof Closure)) {
      parts[name] = of(name, script, given[0])
    } else if (given && given[0] instanceof Closure) {
      parts[name] = given[0]
    } else {
      parts[name] = (parts[name] ?: []) + given
    }
    parts[name]
  }
}

/** Goes through the stages as Jenkins would, and records. */
class Runner {
  String name
  Script script
  String branch
  List<String> failing
  Map<String, String> env = [:]
  Map<String, String> params = [:]
  Map<String, Map<String, String>> stashes = [:]
  List<Map> folders = []
  List<String> path = []
  int agents = 0
  boolean failed = false

  void record(Map event) {
    def where = [scenario: name, stage: path.join(' / '), agent: folders ? folders[-1].label : null, folder: folders ? folders[-1].number : null]
    println JsonOutput.toJson(where + event)
  }

  Map<String, String> files() {
    if (!folders) { throw new StepFailed('this step needs an agent, and there is none') }
    folders[-1].files
  }

  void pipeline(Block block) {
    def options = block.parts.options?.parts?.keySet() ?: []
    record(event: 'pipeline', agent_at_top: block.parts.agent.with { it instanceof Block ? it.parts : it }, options: options as List, triggers: block.parts.triggers?.parts,
      environment: block.parts.environment?.parts)
    scope(block, null) { inner(block) }
    record(event: 'end', failed: failed)
  }

  void stage(String name, Block block) {
    path << name
    try {
      if (failed) { record(event: 'not reached'); return }
      def when = block.parts.when
      if (when && !holds(when)) {
        // Jenkins starts the agent first and asks then, unless told otherwise.
        if (block.parts.agent && !when.parts.beforeAgent) { record(event: 'agent', label: block.parts.agent.parts.label[0]) }
        record(event: 'skipped')
        return
      }
      if (block.parts.options) { record(event: 'options', options: block.parts.options.parts.collectEntries { [it.key, it.value.toString()] }) }
      scope(block, block.parts.post) { inner(block) }
    } finally {
      path.remove(path.size() - 1)
    }
  }

  /** With the block's agent and variables: do it, and what comes after it. */
  void scope(Block block, Block post, Closure work) {
    def before = new LinkedHashMap(env)
    if (block.parts.environment) { env.putAll(block.parts.environment.parts) }
    def label = block.parts.agent instanceof Block ? block.parts.agent.parts.label[0] : null
    if (label) {
      folders << [label: label, number: ++agents, files: [:]]
      record(event: 'agent', label: label)
    }
    def failedBefore = failed
    try {
      try { work() } catch (StepFailed problem) {
        failed = true
        record(event: 'failed', why: problem.message)
      }
      if (post) { after(post, failed && !failedBefore) }
      if (block.kind == 'pipeline' && block.parts.post) { after(block.parts.post, failed) }
    } finally {
      if (label) { folders.remove(folders.size() - 1) }
      env.clear()
      env.putAll(before)
    }
  }

  void after(Block post, boolean badly) {
    ['always', 'success', 'failure', 'unsuccessful', 'cleanup'].each { name ->
      def wanted = name in ['always', 'cleanup'] || (name == 'success') != badly
      if (!wanted || !post.parts[name]) { return }
      path << "post ${name}".toString()
      try { steps(post.parts[name]) } catch (StepFailed problem) {
        failed = true
        record(event: 'failed', why: problem.message)
      } finally { path.remove(path.size() - 1) }
    }
  }

  void inner(Block block) {
    if (block.parts.steps) { steps(block.parts.steps) }
    each(block.parts.stages)
    if (block.parts.parallel) { beside(block.parts.parallel.stages.collect { one -> { -> stage(one.name, one.block) } }) }
    if (block.parts.matrix) {
      def matrix = block.parts.matrix
      def axis = matrix.parts.axes.stages[0].block.parts
      beside(axis.values.collect { value -> { ->
        def cell = new Block(kind: 'matrix', script: script, parts: new LinkedHashMap(matrix.parts))
        cell.parts.environment = new Block(kind: 'environment', parts: [(axis.name[0]): value])
        scope(cell, null) { each(matrix.parts.stages) }
      } })
    }
  }

  void each(Block stages) {
    stages?.stages?.each { stage(it.name, it.block) }
  }

  /** Branches that run at the same time do not stop each other; here they run one after the other. */
  void beside(List<Closure> branches) {
    def any = false
    branches.each { run ->
      failed = false
      run()
      any = any || failed
    }
    failed = any
  }

  /** The body's names are steps and the file's own, no longer words of the declarative syntax around it. */
  void steps(Closure body) { body.rehydrate(script, script, script)() }

  boolean holds(Block when) {
    def own = when.parts.branch
    def any = when.parts.anyOf
    (own == null || own.contains(branch)) && (any == null || any.parts.branch.contains(branch))
  }
}

abstract class Jenkins extends Script {
  static Runner runner

  def pipeline(Closure body) { runner.pipeline(Block.of('pipeline', this, body)) }

  def getEnv() { new LinkedHashMap(runner.env) }

  def getParams() { runner.params }

  def sh(String command) {
    def expanded = command.replaceAll(/\$(\w+)/) { runner.env[it[1]] ?: '' }
    runner.files()
    runner.record(event: 'sh', command: command, expanded: expanded, variables: runner.env.keySet() as List)
    if (runner.failing.any { expanded =~ it }) { throw new StepFailed("${expanded} failed") }
    Make.run(expanded, runner.files(), runner.env)
  }

  def withEnv(List<String> added, Closure body) {
    within(added.collectEntries { it.split('=', 2) as List }, body)
  }

  def withCredentials(List<Map> wanted, Closure body) {
    runner.record(event: 'credentials', ids: wanted*.id)
    within(wanted.collectEntries { [it.variable, 'SECRET-' + it.id] }, body)
  }

  def within(Map<String, String> added, Closure body) {
    def before = new LinkedHashMap(runner.env)
    runner.env.putAll(added)
    try { body() } finally {
      runner.env.clear()
      runner.env.putAll(before)
    }
  }

  Map string(Map about) { [id: about.credentialsId, variable: about.variable] }

  def script(Closure body) { body() }

  def stash(Map about) {
    def found = matching(about.includes)
    if (!found) { throw new StepFailed("nothing to stash as ${about.name}: ${about.includes}") }
    runner.stashes[about.name] = found
    runner.record(event: 'stash', name: about.name, files: found.keySet() as List)
  }

  def unstash(String name) {
    if (!(name in runner.stashes)) { throw new StepFailed("nothing is stashed as ${name}") }
    runner.files().putAll(runner.stashes[name])
    runner.record(event: 'unstash', name: name)
  }

  def archiveArtifacts(Map about) {
    def found = about.artifacts.split(',').collectMany { matching(it).keySet() as List }
    if (!found && !about.allowEmptyArchive) { throw new StepFailed("nothing to archive: ${about.artifacts}") }
    runner.record(event: 'archive', files: found)
  }

  def junit(String pattern) {
    // What failed before its tests began has no report; Jenkins then says so and fails a second time.
    runner.record(event: 'junit', files: matching(pattern).keySet() as List)
  }

  String readFile(String path) { Make.require(runner.files(), path) }

  def deleteDir() {
    runner.files().clear()
    runner.record(event: 'deleted')
  }

  def input(Map about) {
    runner.record(event: 'input', message: about.message, submitter: about.submitter)
    if (runner.failing.any { 'input' =~ it }) { throw new StepFailed('somebody said no') }
  }

  def methodMissing(String name, Object arguments) { throw new IllegalArgumentException("no step '${name}' is known") }

  Map<String, String> matching(String pattern) {
    def regex = pattern.split(/\*/, -1).collect { java.util.regex.Pattern.quote(it) }.join('[^/]*')
    runner.files().findAll { it.key ==~ regex }
  }
}

def configuration = new CompilerConfiguration(scriptBaseClass: 'Jenkins')
new JsonSlurper().parse(System.in).each { scenario ->
  def shell = new GroovyShell(getClass().classLoader, new Binding(), configuration)
  Make.plans = 0
  Jenkins.runner = new Runner(name: scenario.name, branch: scenario.branch, failing: scenario.failing,
    env: [BRANCH_NAME: scenario.branch], params: [AWS_CREDENTIALS: scenario.credentials, ALLOW_DESTROY: 'no'])
  try {
    Jenkins.runner.script = shell.parse(scenario.text, 'Jenkinsfile')
    Jenkins.runner.script.run()
  } catch (Exception problem) {
    Jenkins.runner.record(event: 'broken', why: problem.toString())
  }
}
