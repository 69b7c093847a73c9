package main

import (
	"time"

	"statsbridge-tests/agents/internal/metrics"
)

// Gateway is what Conduit's Gateway measures.
type Gateway struct {
	*Server
	agents            *metrics.Gauge
	registrations     *metrics.Counter
	heartbeats        *metrics.Counter
	lastHeartbeat     *metrics.Gauge
	sessions          *metrics.Gauge
	sessionOperations *metrics.Counter
	sessionDuration   *metrics.Duration
	creationDuration  *metrics.Duration
	operations        *metrics.Counter
	operationDuration *metrics.Duration
	proxyErrors       *metrics.Counter
	sockets           *metrics.Gauge
	bytes             *metrics.Counter
	messages          *metrics.Counter
	socketErrors      *metrics.Counter
}

func newGateway(client *metrics.Client) *Gateway {
	return &Gateway{
		Server:            newServer(client, "gateway"),
		agents:            client.Gauge("gateway_agents_total", "datacenter", "status"),
		registrations:     client.Counter("gateway_agent_registrations_total", "datacenter", "status"),
		heartbeats:        client.Counter("gateway_agent_heartbeats_total", "agent_id", "status"),
		lastHeartbeat:     client.Gauge("gateway_agent_last_heartbeat_seconds", "agent_id"),
		sessions:          client.Gauge("gateway_sessions_total", "type", "customer_id"),
		sessionOperations: client.Counter("gateway_session_operations_total", "operation", "type", "status"),
		sessionDuration:   client.Duration("gateway_session_duration_seconds", "type"),
		creationDuration:  client.Duration("gateway_session_creation_duration_seconds", "type"),
		operations:        client.Counter("gateway_bmc_operations_total", "operation", "status"),
		operationDuration: client.Duration("gateway_bmc_operation_duration_seconds", "operation"),
		proxyErrors:       client.Counter("gateway_proxy_errors_total", "error_type"),
		sockets:           client.Gauge("gateway_websocket_connections_total", "type"),
		bytes:             client.Counter("gateway_websocket_bytes_transmitted_total", "type", "direction"),
		messages:          client.Counter("gateway_websocket_messages_total", "type", "direction"),
		socketErrors:      client.Counter("gateway_websocket_errors_total", "type", "error_type"),
	}
}

// SessionOpened is called when a console session was asked for.
func (g *Gateway) SessionOpened(kind, customer string, took time.Duration, err error) {
	g.sessionOperations.Add(1, "create", kind, statusOf(err))
	g.creationDuration.Observe(took, kind)
	if err == nil {
		g.sessions.Add(1, kind, customer)
		g.sockets.Add(1, kind)
	}
}

// SessionClosed is called when one ends.
func (g *Gateway) SessionClosed(kind, customer string, lasted time.Duration) {
	g.sessionOperations.Add(1, "close", kind, statusOf(nil))
	g.sessionDuration.Observe(lasted, kind)
	g.sessions.Add(-1, kind, customer)
	g.sockets.Add(-1, kind)
}

// Proxied is called when an agent has carried out an operation, or could not be asked to.
func (g *Gateway) Proxied(operation string, took time.Duration, err error) {
	g.operations.Add(1, operation, statusOf(err))
	g.operationDuration.Observe(took, operation)
	if err != nil {
		g.proxyErrors.Add(1, "agent_unreachable")
	}
}

// Transmitted is called for each message of a WebSocket.
func (g *Gateway) Transmitted(kind, direction string, bytes int64) {
	g.messages.Add(1, kind, direction)
	g.bytes.Add(bytes, kind, direction)
}

func (g *Gateway) round() {
	g.agents.Set(3, "fra-1", "connected")
	g.registrations.Add(1, "fra-1", "success")
	g.heartbeats.Add(1, "agent-7", "success")
	g.lastHeartbeat.Set(0.5, "agent-7")

	g.SessionOpened("sol", "acme", 200*time.Millisecond, nil)
	g.SessionOpened("vnc", "acme", 400*time.Millisecond, nil)
	g.Transmitted("sol", "outbound", 512)
	g.Transmitted("sol", "inbound", 2048)
	g.socketErrors.Add(1, "vnc", "closed_early")
	g.SessionClosed("sol", "acme", 20*time.Minute)
	g.SessionClosed("vnc", "acme", 5*time.Hour)

	g.Proxied("power_on", 1500*time.Millisecond, nil)
	g.Proxied("power_off", 31*time.Second, errWrong)
	g.Requested("POST", "/sessions", 201, 20*time.Millisecond)
	g.Called("GatewayService", "CreateSession", 210*time.Millisecond, nil)
}
