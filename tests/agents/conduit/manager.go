package main

import (
	"time"

	"statsbridge-tests/agents/internal/metrics"
)

// Manager is what Conduit's Manager measures.
type Manager struct {
	*Server
	authRequests      *metrics.Counter
	authDuration      *metrics.Duration
	activeTokens      *metrics.Gauge
	tokenValidations  *metrics.Counter
	servers           *metrics.Gauge
	serverOperations  *metrics.Counter
	operationDuration *metrics.Duration
	gateways          *metrics.Gauge
	registrations     *metrics.Counter
	queries           *metrics.Counter
	queryDuration     *metrics.Duration
	connections       *metrics.Gauge
}

func newManager(client *metrics.Client) *Manager {
	return &Manager{
		Server:            newServer(client, "manager"),
		authRequests:      client.Counter("manager_auth_requests_total", "status", "method"),
		authDuration:      client.Duration("manager_auth_duration_seconds", "method"),
		activeTokens:      client.Gauge("manager_active_tokens"),
		tokenValidations:  client.Counter("manager_token_validations_total", "status"),
		servers:           client.Gauge("manager_servers_total", "customer_id", "datacenter", "status"),
		serverOperations:  client.Counter("manager_server_operations_total", "operation", "status"),
		operationDuration: client.Duration("manager_server_operation_duration_seconds", "operation"),
		gateways:          client.Gauge("manager_gateways_total", "datacenter", "status"),
		registrations:     client.Counter("manager_gateway_registrations_total", "status"),
		queries:           client.Counter("manager_db_queries_total", "operation", "table", "status"),
		queryDuration:     client.Duration("manager_db_query_duration_seconds", "operation", "table"),
		connections:       client.Gauge("manager_db_connections"),
	}
}

// Authenticated is called when somebody has shown who they are, or failed to.
func (m *Manager) Authenticated(method string, took time.Duration, err error) {
	m.authRequests.Add(1, statusOf(err), method)
	m.authDuration.Observe(took, method)
}

// Operated is called when a server's record was created, read, updated or deleted.
func (m *Manager) Operated(operation string, took time.Duration, err error) {
	m.serverOperations.Add(1, operation, statusOf(err))
	m.operationDuration.Observe(took, operation)
}

// Queried is called when the database has answered.
func (m *Manager) Queried(operation, table string, took time.Duration, err error) {
	m.queries.Add(1, operation, table, statusOf(err))
	m.queryDuration.Observe(took, operation, table)
}

func (m *Manager) round() {
	m.Authenticated("password", 80*time.Millisecond, nil)
	m.Authenticated("password", 3*time.Second, errWrong)
	m.tokenValidations.Add(2, "valid")
	m.tokenValidations.Add(1, "expired")
	m.activeTokens.Set(7)

	m.servers.Set(40, "acme", "fra-1", "active")
	m.Operated("create", 120*time.Millisecond, nil)
	m.gateways.Set(2, "fra-1", "active")
	m.registrations.Add(1, "success")

	m.connections.Add(2)
	m.Queried("select", "servers", 2*time.Millisecond, nil)
	m.Queried("insert", "servers", 600*time.Millisecond, errWrong)
	m.connections.Add(-2)

	m.Requested("GET", "/health", 200, time.Millisecond)
	m.Called("BMCService", "GetServer", 30*time.Millisecond, nil)
}
