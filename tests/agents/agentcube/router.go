package main

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"statsbridge-tests/agents/internal/metrics"
)

// Router is what AgentCube's Router measures.
type Router struct {
	duration    *metrics.Duration
	proxyErrors *metrics.Counter
	concurrent  *metrics.Gauge
	sessions    *metrics.Counter
}

func newRouter(client *metrics.Client) *Router {
	return &Router{
		duration:    client.Duration("agentcube_router_request_duration_seconds", "kind"),
		proxyErrors: client.Counter("agentcube_router_proxy_errors_total", "category"),
		concurrent:  client.Gauge("agentcube_router_concurrent_requests"),
		sessions:    client.Counter("agentcube_router_session_create_total"),
	}
}

// Begin is called when a request comes in. What it returns is called when the request is done, with what went wrong.
func (r *Router) Begin(kind string) func(error) {
	r.concurrent.Add(1)
	start := time.Now()
	return func(err error) {
		r.concurrent.Add(-1)
		r.duration.Observe(time.Since(start), kind)
		if err != nil {
			r.proxyErrors.Add(1, categoryOf(err))
		}
	}
}

// SessionCreated is called when a request without a session made one.
func (r *Router) SessionCreated() {
	r.sessions.Add(1)
}

// categoryOf keeps the label to three values, whatever goes wrong.
func categoryOf(err error) string {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection_refused"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	}
	return "other"
}
