"""Sends the metrics of GUI Agents: mappings/gui-agents/README.md.

    cd tests/agents && ENABLE_PROMETHEUS=true python3 -m gui-agents --form=tags --address=127.0.0.1:9125

Unless ENABLE_PROMETHEUS is true, 1 or yes, it sends nothing, and needs no statsd client.
"""
import os
import time

import command
from metrics import Nowhere, connect


def is_enabled(environment):
    return environment.get('ENABLE_PROMETHEUS', 'false').lower() in ('true', '1', 'yes')


class GuiAgents:
    """The catalogue, and a round of work that touches all of it."""

    def __init__(self, metrics):
        # Task lifecycle.
        self.created = metrics.counter('agent_tasks_created_total', 'status')
        self.active = metrics.gauge('agent_tasks_active')
        self.execution = metrics.observer('agent_task_execution_duration_seconds')
        self.queue_wait = metrics.observer('agent_task_queue_wait_duration_seconds')
        self.utilization = metrics.gauge('agent_task_utilization')
        # gRPC service.
        self.requests = metrics.counter('agent_grpc_requests_total', 'method')
        self.request_duration = metrics.observer('agent_grpc_request_duration_seconds', 'method')
        self.errors = metrics.counter('agent_grpc_errors_total', 'method', 'status_code')
        self.streams = metrics.gauge('agent_grpc_stream_connections', 'method')
        # Business resources.
        self.tokens = metrics.counter('agent_tokens_consumed_total', 'type')
        self.cost = metrics.counter('agent_execution_cost_total', 'currency')
        self.sandboxes = metrics.counter('agent_sandbox_created_total', 'sandbox_type')
        self.steps = metrics.counter('agent_proxy_steps_total')
        self.steps_of_task = metrics.observer('agent_task_steps')
        # System resources.
        self.memory = metrics.gauge('agent_memory_usage_bytes')
        self.temp_files = metrics.gauge('agent_temp_files_count')
        self.stream_tasks = metrics.gauge('agent_stream_manager_tasks')
        # Performance and health.
        self.success_rate = metrics.gauge('agent_task_success_rate')
        self.latency = metrics.observer('agent_task_latency_seconds')
        self.uptime = metrics.gauge('agent_service_uptime_seconds')
        self.config_updates = metrics.counter('agent_config_updates_total', 'config_type')
        self.rounds = 0
        # As if it had started an hour ago.
        self.started = time.monotonic() - 3600

    def work(self):
        if self.rounds:
            self.streams.down(method='GetTaskStream')
        self.rounds += 1
        self.run_task()
        self.record('QueryTaskStatus', seconds=0.02)
        self.record('QueryTaskStatus', seconds=0.3)
        self.record('CancelTask', seconds=0.004, status_code='NOT_FOUND')
        self.serve('GetAgentInfo', dict)
        self.streams.up(method='GetTaskStream')
        self.streams.up(method='GetTaskStream')
        self.streams.down(method='GetTaskStream')
        self.config_updates.add(config_type='global')
        self.report()

    def run_task(self):
        for status in ('pending', 'running', 'completed', 'completed', 'failed'):
            self.created.add(status=status)
        self.active.set(1)
        self.utilization.set(0.25)
        self.success_rate.set(0.75)
        self.queue_wait.observe(0.75)
        self.execution.observe(42)
        for seconds in (1.5, 2.5, 40):
            self.latency.observe(seconds)
        self.sandboxes.add(sandbox_type='Linux')
        self.steps.add(12)
        self.steps_of_task.observe(12)
        self.tokens.add(1500, type='input')
        self.tokens.add(500, type='output')
        self.tokens.add(2000, type='total')
        self.cost.add(0.25, currency='USD')

    def record(self, method, seconds, status_code=None):
        """A request of which all is known."""
        self.requests.add(method=method)
        self.request_duration.observe(seconds, method=method)
        if status_code:
            self.errors.add(method=method, status_code=status_code)

    def serve(self, method, handler):
        """Lets a request be handled, and times it."""
        self.requests.add(method=method)
        try:
            with self.request_duration.timed(method=method):
                return handler()
        except Exception:
            self.errors.add(method=method, status_code='UNKNOWN')
            raise

    def report(self):
        """What is measured every ten seconds."""
        self.memory.set(268435456)
        self.temp_files.set(4)
        self.stream_tasks.set(2)
        self.uptime.set(time.monotonic() - self.started)


if __name__ == '__main__':
    arguments = command.parse(__doc__)
    metrics = connect(arguments.form, arguments.address) if is_enabled(os.environ) else Nowhere()
    command.run(GuiAgents(metrics).work, arguments, metrics)
