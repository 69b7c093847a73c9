"""Sends the metrics of AgentOS: mappings/agentos/README.md.

    cd tests/agents && python3 -m agentos --form=tags --address=127.0.0.1:9125
"""
import asyncio
import time

import command
from metrics import connect


class RequestTimer:
    """Times a request, as `with` or as `async with`. Where the metric has a label `status`, it says how it went."""

    def __init__(self, observer, clock=time.perf_counter, **labels):
        self.observer, self.clock, self.labels = observer, clock, labels

    def __enter__(self):
        self.start = self.clock()
        return self

    def __exit__(self, kind, error, trace):
        seconds = self.clock() - self.start
        if 'status' in self.observer.labels:
            self.labels['status'] = 'error' if kind else 'success'
        self.observer.observe(seconds, **self.labels)

    async def __aenter__(self):
        return self.__enter__()

    async def __aexit__(self, *how):
        self.__exit__(*how)


class AgentOS:
    """The catalogue, and a round of work that touches all of it."""

    def __init__(self, metrics):
        self.info = metrics.gauge('agentos_info', 'version', 'protocols', 'service')
        self.duration = metrics.observer('a2a_request_duration_seconds', 'agent', 'operation', 'status')
        self.requests = metrics.counter('a2a_requests_total', 'agent', 'operation', 'status')
        self.active = metrics.gauge('a2a_active_tasks', 'agent')
        self.size = metrics.observer('a2a_response_size_bytes', 'agent')
        self.cache = metrics.counter('cache_operations_total', 'operation', 'result')
        self.cache_latency = metrics.observer('cache_latency_seconds', 'operation')
        self.rate_limit = metrics.counter('rate_limit_hits_total', 'endpoint', 'workspace_id', 'result')
        self.ccr = metrics.counter('ccr_requests_total', 'provider', 'task_type', 'status')
        self.ccr_latency = metrics.observer('ccr_latency_seconds', 'provider')
        self.ccr_tokens = metrics.counter('ccr_tokens_total', 'provider', 'direction')
        self.is_working = False

    def work(self):
        self.info.set(1, version='v0-2-0', protocols='a2a-0-3-0', service='agentos')
        if self.is_working:
            self.active.down(agent='navi')
        self.is_working = True
        self.active.up(agent='navi')
        self.active.up(agent='navi')
        self.active.down(agent='navi')
        self.answer('navi', 'query', seconds=0.25, size=1024)
        self.fail('navi', 'run', seconds=1.5)
        asyncio.run(self.route('claude', 'code', seconds=0.5))
        self.look_up('get', 'hit', seconds=0.002)
        self.look_up('get', 'miss', seconds=0.03)
        self.rate_limit.add(endpoint='/agents/approval/runs', workspace_id='ws-1', result='allowed')
        self.rate_limit.add(3, endpoint='/agents/approval/runs', workspace_id='ws-1', result='denied')

    def answer(self, agent, operation, seconds, size):
        with RequestTimer(self.duration, takes(seconds), agent=agent, operation=operation):
            pass  # here the request is answered
        self.requests.add(agent=agent, operation=operation, status='success')
        self.size.observe(size, agent=agent)

    def fail(self, agent, operation, seconds):
        try:
            with RequestTimer(self.duration, takes(seconds), agent=agent, operation=operation):
                raise ConnectionError('nobody answers')
        except ConnectionError:
            self.requests.add(agent=agent, operation=operation, status='error')

    async def route(self, provider, task_type, seconds):
        async with RequestTimer(self.ccr_latency, takes(seconds), provider=provider):
            await asyncio.sleep(0)  # here the provider is asked
        self.ccr.add(provider=provider, task_type=task_type, status='success')
        self.ccr_tokens.add(1500, provider=provider, direction='input')
        self.ccr_tokens.add(400, provider=provider, direction='output')

    def look_up(self, operation, result, seconds):
        self.cache.add(operation=operation, result=result)
        self.cache_latency.observe(seconds, operation=operation)


def takes(seconds):
    """A clock by which what is timed takes so long: this program works with numbers that are known."""
    return iter([0, seconds]).__next__


if __name__ == '__main__':
    arguments = command.parse(__doc__)
    metrics = connect(arguments.form, arguments.address)
    command.run(AgentOS(metrics).work, arguments, metrics)
