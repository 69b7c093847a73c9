package main

import (
	"strconv"
	"time"

	"statsbridge-tests/agents/internal/metrics"
)

// Server is what every component measures of the HTTP requests and RPC calls that it answers.
type Server struct {
	requests        *metrics.Counter
	requestDuration *metrics.Duration
	calls           *metrics.Counter
	callDuration    *metrics.Duration
}

func newServer(client *metrics.Client, component string) *Server {
	return &Server{
		requests:        client.Counter(component+"_http_requests_total", "method", "endpoint", "status_code"),
		requestDuration: client.Duration(component+"_http_request_duration_seconds", "method", "endpoint"),
		calls:           client.Counter(component+"_rpc_calls_total", "service", "method", "status"),
		callDuration:    client.Duration(component+"_rpc_call_duration_seconds", "service", "method"),
	}
}

// Requested is called when an HTTP request is answered. The endpoint is the route, not the path: routes are few.
func (s *Server) Requested(method, endpoint string, code int, took time.Duration) {
	s.requests.Add(1, method, endpoint, strconv.Itoa(code))
	s.requestDuration.Observe(took, method, endpoint)
}

// Called is called when an RPC call is answered.
func (s *Server) Called(service, method string, took time.Duration, err error) {
	s.calls.Add(1, service, method, statusOf(err))
	s.callDuration.Observe(took, service, method)
}

// statusOf is the label that tells success from failure.
func statusOf(err error) string {
	if err != nil {
		return "failure"
	}
	return "success"
}
